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
async def journal(within: float | None = None) -> AsyncIterator[SqlJournal]:
    """Open until the end of the block; each verb has `within` seconds, or the usual ones.

    Raises BadUsage for a wrong setting.
    """
    from canary.journal.store import SqlJournal, open_journal
    from canary.settings import Settings

    opened = SqlJournal(Settings.from_env(os.environ).journal_url, answer_within=within) if within else open_journal()
    try:
        yield opened
    finally:
        await opened.close()
