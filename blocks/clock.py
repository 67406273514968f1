"""The machine's own clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`ports.Clock` on the machine's time."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long; a negative wait is none."""
        await asyncio.sleep(max(0.0, seconds))
