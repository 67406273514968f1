"""What a visit that failed looked like: a picture of the page, and Playwright's trace without its secrets.

`playwright show-trace FILE` opens the trace: every step, what the page was then, its console and its requests. It holds
the headers of those requests, so each of its texts is written anew with *** for every secret. A page that shows a
secret itself is not pictured, and traced neither.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as BrowserError

from canary.blocks.hiding import Hider
from canary.ports import Clock

KEPT_WITHIN = 5.0
"""Seconds that picture and trace may take; a verdict waits for them, and for no longer."""
LARGEST_TEXT = 1_000_000
"""Characters of one text of a trace; what is longer is left out of it."""
PICTURES = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps in `folder`, which nobody else on this machine may read."""

    folder: Path
    hider: Hider
    clock: Clock

    async def begin(self, context: BrowserContext) -> None:
        """From here on the visit is traced."""
        await context.tracing.start(screenshots=True, snapshots=True)

    async def keep(self, page: Page, name: str) -> str:
        """Where picture and trace are, as the end of a sentence; "" when there is nothing. Never raises."""
        try:
            async with asyncio.timeout(KEPT_WITHIN):
                return await self._kept(page, name)
        except (BrowserError, OSError, TimeoutError):
            return ""

    async def _kept(self, page: Page, name: str) -> str:
        if self.hider.holds(await page.content()):
            return " (not pictured: the page shows a secret)"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
        stem = self.folder / f"{datetime.fromtimestamp(self.clock.now(), UTC):%Y%m%dT%H%M%S.%fZ}-{word}"
        picture, trace, raw = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "zip", "raw"))
        await page.screenshot(path=picture, timeout=1000 * KEPT_WITHIN)
        try:
            await page.context.tracing.stop(path=raw)
            await asyncio.to_thread(self._without_secrets, raw, trace)
        finally:
            with suppress(OSError):
                raw.unlink(missing_ok=True)
        return f" (seen: {picture}; trace: {trace})"

    def _without_secrets(self, raw: Path, trace: Path) -> None:
        with ZipFile(raw) as before, ZipFile(trace, "w", ZIP_DEFLATED) as after:
            for name in before.namelist():
                content = before.read(name)
                if content.startswith(PICTURES):
                    after.writestr(name, content)
                elif (text := _text(content)) is not None:
                    after.writestr(name, self.hider.hide(text))


def _text(content: bytes) -> str | None:
    """None for what is no text, or too long to be looked through."""
    if len(content) > LARGEST_TEXT:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
