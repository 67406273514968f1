"""Messages on the standard error stream: the notifier that needs nothing."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Sequence

from pydantic import PrivateAttr

from canary.blocks.base import CanaryBlock
from canary.ports import Receipt

_PATIENCE_SECONDS = 1.0
_BELL = "\a"


class Terminal(CanaryBlock):
    """One line per message; a page rings.

    A receipt is never confirmed: a terminal cannot tell whether anybody looked at it. Its detail says whether
    the line was written.
    """

    _block_type_name = "Canary: terminal"
    _block_type_slug = "terminal"
    _description = "Writes messages to the standard error stream of the process that runs the rollout."

    _stuck: bool = PrivateAttr(default=False)
    _one_at_a_time: asyncio.Lock = PrivateAttr(default_factory=asyncio.Lock)

    async def check_connection(self) -> None:
        """Nothing to reach."""

    async def check_paging(self) -> None:
        """It rings for whoever sits there."""

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        """One line: the rollout, the message. A terminal has neither threads nor mentions."""
        return await self._say(f"[{thread}] {message}")

    async def page(self, incident: str, summary: str) -> Receipt:
        """One line, with the bell; the same incident again is one more line."""
        return await self._say(f"PAGE [{incident}] {summary}", end=_BELL)

    async def close(self) -> None:
        """Nothing to close."""

    async def _say(self, text: str, end: str = "") -> Receipt:
        # Colours and cursor movements from somebody's error message must not reach the terminal.
        line = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).strip() + end + "\n"
        async with self._one_at_a_time:
            failure = "it has not taken the line before" if self._stuck else await self._write(line)
        return Receipt(self.ref, confirmed=False, detail=f"not written: {failure}" if failure else "written")

    async def _write(self, line: str) -> str:
        """Why it was not written, or "".

        In a thread: a paused terminal (Ctrl-S) blocks its writer for ever, and must not block a rollout.
        """
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        failed: list[str] = []
        self._stuck = True

        def write() -> None:
            try:
                sys.stderr.write(line)
                sys.stderr.flush()
            except (OSError, ValueError, AttributeError) as error:
                failed.append(type(error).__name__)
            self._stuck = False
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=write, daemon=True, name="canary-terminal").start()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await done.wait()
        except TimeoutError:
            return "the terminal takes no line"
        return failed[0] if failed else ""
