"""The system's Chromium, driven by Playwright (extra `ui`), for the checks of a plan that look at pages.

One browser for the life of the adapter, started when it is first needed; every visit is somebody new.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from canary.blocks.clock import SystemClock
from canary.blocks.environment import without_secrets
from canary.errors import Refused
from canary.plan.model import UiCheck
from canary.ports import Access, Visit

if TYPE_CHECKING:
    from playwright.async_api import Browser as Launched
    from playwright.async_api import BrowserContext, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
START_WITHIN = 20.0
"""Seconds for Chromium to start on a busy machine; 1–2 s are usual."""
CLOSE_WITHIN = 5.0
"""Seconds for it to end; after that its driver ends it together with this process."""


def missing() -> str:
    """What to install before pages can be visited from here; "" when nothing is missing."""
    if find_spec("playwright") is None:
        return "pip install 'prefect-canary[ui]'"
    return "" if _executable() else "apt install chromium (or put another Chromium into PATH)"


def _executable() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """`ports.Browser`. Nothing is started before a verb is called. In `folder` a picture of what failed is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._clock = SystemClock()
        self._play: Playwright | None = None
        self._launching: asyncio.Task[Launched] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def check_connection(self) -> None:
        """Starts it. Raises Refused, naming what to install."""
        await self._browser()

    async def visit(self, access: Access, script: UiCheck) -> Visit:
        """Never raises for what is visited; ends within 20 s."""
        began = self._clock.monotonic()
        try:
            browser = await self._browser()
        except Refused as error:
            return Visit("cannot tell", error.what, seconds=self._clock.monotonic() - began)
        from canary.blocks.visiting import visited

        return await visited(browser, access, script, self._clock, self._leave, self._folder)

    async def close(self) -> None:
        """Ends it. A later visit starts another one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await asyncio.gather(*self._ending, return_exceptions=True)
                await self._stop()

    async def _browser(self) -> Launched:
        """Shielded: a visit that is given up must not leave half a browser behind."""
        if self._launching is None or (self._launching.done() and not _lives(self._launching)):
            self._launching = asyncio.create_task(self._launch())
        return await asyncio.shield(self._launching)

    async def _launch(self) -> Launched:
        if lacking := missing():
            raise Refused("the checks in a browser need Chromium and Playwright", lacking)
        # It takes a second to import: beside the loop, where the time-outs of others run.
        playwright = await asyncio.to_thread(import_module, "playwright.async_api")
        try:
            await self._stop_driver()
            started: Playwright = await playwright.async_playwright().start()
            self._play = started
            return await started.chromium.launch(
                executable_path=_executable(),
                args=ARGUMENTS,
                env={**without_secrets(os.environ)},
                timeout=1000 * START_WITHIN,
                # A Ctrl-C is for this process to answer, which then still needs its browser.
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except (playwright.Error, OSError) as error:
            await self._stop_driver()
            why = str(error).strip().partition("\n")[0][:300]
            raise Refused(f"Chromium does not start: {why}", f"does it start by hand? {_executable()}") from None

    def _leave(self, context: BrowserContext) -> None:
        """In the background: whoever gave the visit up has no time to wait for its end."""
        self._later(context.close())

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        launching, self._launching = self._launching, None
        if launching is not None:
            with suppress(Exception):
                await (await launching).close()
        await self._stop_driver()

    async def _stop_driver(self) -> None:
        play, self._play = self._play, None
        if play is not None:
            await _quietly(play.stop())


def _lives(launched: asyncio.Task[Launched]) -> bool:
    failed = launched.cancelled() or launched.exception() is not None
    return not failed and launched.result().is_connected()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """What is closed may be gone already."""
    with suppress(Exception):
        await work
