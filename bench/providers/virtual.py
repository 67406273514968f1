"""An event loop whose time passes only while nothing can run: sleeps, time-outs and deadlines cost no real time.

Unlike `canary.testing.clock` it also carries `asyncio.timeout`, so that the six seconds of a provider's verb are real
ones of the run. Nothing in it may wait for a socket or a thread.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START = 1_800_000_000.0


class _Jumping(selectors.DefaultSelector):
    """What would be waited for is added to the clock instead."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("nothing can ever run again: something waits for what is outside of this loop")
        if not found and timeout is not None and timeout > 0:
            self.elapsed += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed


class LoopClock:
    """`ports.Clock` by the running loop."""

    def now(self) -> float:
        return START + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own, whose clock begins anew."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
