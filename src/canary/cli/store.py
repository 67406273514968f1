"""The journal and the vault of this machine's settings, for commands that need no Prefect."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from canary.journal.store import SqlJournal


class WallClock:
    """`ports.Clock` for commands: they wait with asyncio."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


@asynccontextmanager
async def journal() -> AsyncIterator[SqlJournal]:
    """Open until the end of the block. Raises BadUsage for a wrong setting."""
    from canary.journal.store import open_journal

    opened = open_journal(env=os.environ)
    try:
        yield opened
    finally:
        await opened.close()
