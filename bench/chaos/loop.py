"""An event loop whose time is virtual: when nothing can run it jumps to the next timer, and no thread ever runs."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

START = 1_800_000_000.0
"""Unix seconds at virtual time 0."""


class _Jumps(selectors.BaseSelector):
    """Nothing is ever ready; instead of waiting, time is moved on."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for something that will never happen")
        self.elapsed += max(0.0, timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("no sockets in virtual time")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise RuntimeError("no sockets in virtual time")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is seconds since the loop was made. What would run in a thread is done on the spot."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)
        self.failures: list[BaseException] = []
        self.set_exception_handler(self._keep)

    def time(self) -> float:
        return self._jumps.elapsed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _make_self_pipe(self) -> None:
        """Nobody calls from another thread."""

    def _write_to_self(self) -> None:
        """What is called from here is seen without being told."""

    def _close_self_pipe(self) -> None:
        """There is none."""

    def _keep(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self.failures.append(error)
