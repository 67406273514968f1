"""Prefect as a guard sees it: where another conductor is asked for, and comes or does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.chaos.life import Life
from bench.chaos.script import Prefect
from canary.rollout.state import State

LOST_COMES_AFTER = 3.0


@dataclass
class Server:
    """One for a run. how: as Script.prefect says. begin: starts a conductor after so many seconds."""

    how: float | Prefect
    begin: Callable[[float], None]
    asked: set[int] = field(default_factory=set)

    async def answer(self) -> None:
        """Raises ConnectionError while Prefect is away."""
        if self.how == "away":
            raise ConnectionError("the API is away")
        if self.how == "silent":
            await asyncio.sleep(3600.0)

    def start(self, attempt: int) -> None:
        """The same attempt is the same run."""
        if attempt in self.asked:
            return
        self.asked.add(attempt)
        if isinstance(self.how, float):
            self.begin(self.how)
        elif self.how == "lost":
            self.begin(LOST_COMES_AFTER)


@dataclass(frozen=True, slots=True)
class ProcessRuns:
    """`rollout.reviving.Runs` of one process."""

    life: Life
    server: Server

    async def cancelled(self, state: State) -> bool:
        if self.life.stopped:
            await self.life.thaw()
        await self.server.answer()
        return self.server.how == "cancelled"

    async def start(self, state: State, attempt: int) -> None:
        async def effect() -> None:
            await self.server.answer()
            self.server.start(attempt)

        await self.life.cross(("start run",), effect)
        if self.server.how == "lost":
            await asyncio.sleep(3600.0)
