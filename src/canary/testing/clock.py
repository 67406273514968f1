"""Time that passes only while everybody waits for it."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from itertools import count

_QUIET_PASSES = 3


@dataclass(slots=True)
class FakeClock:
    """`ports.Clock` in virtual time: when no task of the loop can go on, it jumps to the earliest sleeper.

    All who sleep until the same instant wake in the order in which they fell asleep, so a run is the same each
    time and costs no real time. It knows of tasks alone: what waits for a thread or a socket looks idle to it,
    so keep real I/O out of a run in virtual time.
    """

    start: float = 1_800_000_000.0
    _elapsed: float = 0.0
    _asleep: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _watching: bool = False

    def now(self) -> float:
        """Unix seconds: `start` and what was slept since."""
        return self.start + self._elapsed

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait that long in virtual time; at least once round the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self._elapsed + seconds, next(self._order), wake))
        self._watch()
        await wake

    def stand_still(self, seconds: float) -> None:
        """As a stopped process finds it when it goes on: so much time has gone by, and all who slept wake late."""
        self._elapsed += seconds

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_soon(self._look, 0)

    def _look(self, quiet: int) -> None:
        """Once per pass of the loop: go on only after several passes in which nothing else was to run."""
        quiet = 0 if _busy() else quiet + 1
        if quiet < _QUIET_PASSES:
            asyncio.get_running_loop().call_soon(self._look, quiet)
            return
        self._jump()
        self._watching = False
        if self._asleep:
            self._watch()

    def _jump(self) -> None:
        while self._asleep and self._asleep[0][2].done():
            heapq.heappop(self._asleep)  # its task was cancelled
        if not self._asleep:
            return
        self._elapsed = max(self._elapsed, self._asleep[0][0])
        while self._asleep and self._asleep[0][0] <= self._elapsed:
            wake = heapq.heappop(self._asleep)[2]
            if not wake.done():
                wake.set_result(None)


def _busy() -> bool:
    """Whether the loop has anything to run but the looks of other clocks, which would wait for each other for ever."""
    # asyncio tells in no other way whether anything can run now; both of its loops keep this queue.
    ready = tuple(asyncio.get_running_loop()._ready)  # type: ignore[attr-defined]
    return any(getattr(handle._callback, "__func__", None) is not FakeClock._look for handle in ready)
