"""An event loop whose time is virtual: when nothing can run it jumps to the next timer, and no thread ever runs.

It does what asyncio's own loop does, in the same order and with as little as that takes: most of a run's time goes into
waiting for nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_Context = contextvars.Context | None
START = 1_800_000_000.0
"""Unix seconds at virtual time 0."""
RESOLUTION = 1e-9
"""Seconds within which two timers are due together."""
MANY_TIMERS = 100
"""So many of which half are cancelled are gone through."""


class _Call:
    """What is to be called: `asyncio.Handle`, as far as anybody asks."""

    __slots__ = ("args", "callback", "context", "done")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: _Context):
        self.callback, self.args, self.done = callback, args, False
        self.context = context if context is not None else contextvars.copy_context()

    def cancel(self) -> None:
        self.done = True

    def cancelled(self) -> bool:
        return self.done


class _Timer(_Call):
    """Compared by nothing but its time, in the tuple around it: of two at the same time neither is less."""

    __slots__ = ("loop", "waits", "when_")

    def __init__(self, when: float, loop: VirtualLoop, *call: Any):
        super().__init__(*call)
        self.when_, self.loop, self.waits = when, loop, True

    def __lt__(self, other: _Timer) -> bool:
        return False

    def when(self) -> float:
        return self.when_

    def cancel(self) -> None:
        if not self.done:
            self.done = True
            self.loop.cancelled_timers += self.waits


class VirtualLoop(asyncio.AbstractEventLoop):
    """`time()` is seconds since the loop was made. What would run in a thread is done on the spot."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.cancelled_timers = 0
        self._ready: deque[_Call] = deque()
        self._timers: list[tuple[float, _Timer]] = []
        self._closed = False

    def time(self) -> float:
        return self.elapsed

    # --- what is to be done ----------------------------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: _Context = None) -> Any:  # type: ignore[override]
        call = _Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: _Context = None
    ) -> Any:
        return self.call_at(self.elapsed + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: _Context = None) -> Any:  # type: ignore[override]
        timer = _Timer(when, self, callback, args, context)
        heapq.heappush(self._timers, (when, timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: _Context = None) -> Any:
        if context is None:
            return asyncio.Task(coro, loop=self, name=name)
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    # --- doing it --------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Coroutine[Any, Any, T]) -> T:  # type: ignore[override]
        task: asyncio.Task[T] = self.create_task(future)
        asyncio._set_running_loop(self)
        try:
            while not task.done():
                self._step()
        finally:
            asyncio._set_running_loop(None)
        return task.result()

    def _step(self) -> None:
        """All that is ready now, or else what comes next."""
        self._forget()
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise RuntimeError("every task waits for something that will never happen")
            self.elapsed += max(0.0, timers[0][0] - self.elapsed)
        due = self.elapsed + RESOLUTION
        while timers and timers[0][0] < due:
            timer = heapq.heappop(timers)[1]
            timer.waits = False
            ready.append(timer)
        for _ in range(len(ready)):
            call = ready.popleft()
            if not call.done:
                call.context.run(call.callback, *call.args)

    def _forget(self) -> None:
        """Cancelled timers, as asyncio forgets them: of several at one time the order of their calls hangs on it."""
        timers = self._timers
        if len(timers) > MANY_TIMERS and self.cancelled_timers / len(timers) > 0.5:
            for _, timer in timers:
                timer.waits = not timer.done
            timers[:] = [(when, timer) for when, timer in timers if timer.waits]
            heapq.heapify(timers)
            self.cancelled_timers = 0
            return
        while timers and timers[0][1].done:
            self.cancelled_timers -= 1
            heapq.heappop(timers)[1].waits = False

    # --- what asyncio asks of a loop -------------------------------------------------------------------------

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task of a dead process has raised, nobody asks for. A process's own end is in World.exits."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()
