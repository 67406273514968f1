"""A process of the simulation: it can be killed or stand still at every boundary between it and the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from bench.chaos.faults import Crash, Fault, Side, Stall
from bench.chaos.loop import START

T = TypeVar("T")
Role = Literal["conductor", "guard", "person"]


class Killed(BaseException):
    """kill -9: nothing of the process goes on, its clean-up neither."""


class Fuses:
    """The crashes and stalls of a run. Crashes burn one after the other; what burnt is in `burnt`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._crashes = [fault for fault in faults if isinstance(fault, Crash)]
        self._stalls = {fault: fault.nth for fault in faults if isinstance(fault, Stall)}
        self._left = self._crashes[0].nth if self._crashes else 0
        self.burnt: list[Crash | Stall] = []

    def meet(self, boundary: str, side: Side) -> Crash | Stall | None:
        """What happens to the process that crosses the boundary now."""
        return self._crash(boundary, side) or self._stall(boundary, side)

    def _crash(self, boundary: str, side: Side) -> Crash | None:
        if not self._crashes or (self._crashes[0].boundary, self._crashes[0].side) != (boundary, side):
            return None
        self._left -= 1
        if self._left:
            return None
        self.burnt.append(self._crashes.pop(0))
        self._left = self._crashes[0].nth if self._crashes else 0
        return self.burnt[-1]  # type: ignore[return-value]

    def _stall(self, boundary: str, side: Side) -> Stall | None:
        for fault in self._stalls:
            if (fault.boundary, fault.side) == (boundary, side):
                self._stalls[fault] -= 1
                if self._stalls[fault] == 0:
                    self.burnt.append(fault)
                    return fault
        return None


@dataclass(eq=False)
class Life:
    """One process. `skew`: seconds by which its wall clock is wrong. stopped: dead or standing still: `thaw` tells."""

    name: str
    role: Role
    machine: str
    fuses: Fuses
    skew: float = 0.0
    dead: bool = False
    stopped: bool = False
    died_at: float = float("inf")
    frozen_until: float = 0.0
    frozen_seconds: float = 0.0
    on_death: list[Callable[[], None]] = field(default_factory=list)

    async def cross(self, boundaries: Iterable[str], effect: Callable[[], Awaitable[T]]) -> T:
        """The effect, with the process's end or a stand-still before or after it."""
        names = tuple(boundaries)
        await self.meet(names, "before")
        try:
            return await effect()
        finally:
            await self.meet(names, "after")

    async def meet(self, boundaries: Iterable[str], side: Side) -> None:
        if self.stopped:
            await self.thaw()
        for boundary in boundaries:
            match self.fuses.meet(boundary, side):
                case Crash():
                    self.die()
                    raise Killed
                case Stall(seconds=seconds):
                    self.freeze(seconds)
                    await self.thaw()

    def die(self) -> None:
        if not self.dead:
            self.dead, self.stopped, self.died_at = True, True, asyncio.get_running_loop().time()
            for told in self.on_death:
                told()

    def freeze(self, seconds: float) -> None:
        self.frozen_until = asyncio.get_running_loop().time() + seconds
        self.frozen_seconds += seconds
        self.stopped = True

    async def thaw(self) -> None:
        """Nothing goes on while the process stands still, and nothing ever after its end. Raises Killed."""
        loop = asyncio.get_running_loop()
        while not self.dead and loop.time() < self.frozen_until:  # noqa: ASYNC110
            await asyncio.sleep(self.frozen_until - loop.time())
        if self.dead:
            raise Killed
        self.stopped = False


@dataclass(frozen=True, slots=True)
class LifeClock:
    """`ports.Clock` of one process, in the loop's virtual time."""

    life: Life

    def now(self) -> float:
        return START + asyncio.get_running_loop().time() + self.life.skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
        if self.life.stopped:
            await self.life.thaw()


NOBODY = Life("nobody", "person", "", Fuses(()))
CURRENT: ContextVar[Life] = ContextVar("CURRENT", default=NOBODY)
"""The process that the running task belongs to."""
