"""What the Prefect UI shows while a rollout runs. A queue with a consumer that may die: nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, acreate_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from canary.blocks.opener import CLOCK
from canary.plan.model import Plan
from canary.rollout import events as e
from canary.rollout.history import History, Story, remember
from canary.rollout.state import State
from canary.rollout.view import View, view
from canary.rollout.words import say
from canary.tasks.criteria import rows
from canary.tasks.standing import over_the_table, step, under_the_title, way_back

PROGRESS_EVERY = 2.0
"""Seconds between two updates of a phase's progress."""


class Board:
    """A listener of the record: each line becomes a log line, and some an artifact or a new run name.

    A rollout has one table and one progress a phase, and one text on its way back; each is kept up to date.
    """

    def __init__(self, plan: Plan, history: History) -> None:
        self.plan = plan
        self._history = history
        self._log = get_run_logger()
        self._queue: asyncio.Queue[Callable[[], Awaitable[Any]]] = asyncio.Queue()
        self._state: State | None = None
        self._step = ""
        self._unshown: dict[str, State] = {}
        self._artifacts: dict[str, UUID] = {}

    def __call__(self, state: State, event: e.Event) -> None:
        """Must return at once."""
        self._state = state
        self._history = remember(self._history, state, event, CLOCK.now())
        if sentence := say(state, event):
            self._log.info(sentence)
        if (now := step(state)) != self._step:
            self._step = now
            self._put(lambda: self._rename(f"{state.service} {state.version} · {now}"))
        match event:
            case e.Judged() | e.ChecksLooked():
                self._tabulate(state)
            case e.HoldStarted() | e.PhaseExtended() if state.soaking == state.phase:
                self._tabulate(state)
            case e.PhasePassed() if state.soaking == state.phase:
                self._put(lambda: self._advance(state, 100.0))
            case e.RollbackStarted() | e.RollbackVerified() | e.RollbackUnverified():
                self._put(lambda: self._explain(state))

    def _put(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._queue.put_nowait(work)

    def _tabulate(self, state: State) -> None:
        """Several verdicts that wait to be shown become one update, with the newest."""
        waits = state.phase in self._unshown
        self._unshown[state.phase] = state
        if not waits:
            self._put(lambda: self._table(self._unshown.pop(state.phase)))

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Consume until the end of the block; then at most 3 s for what is left."""
        consumers = [asyncio.create_task(self._consume()), asyncio.create_task(self._tick())]
        try:
            yield
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), 3.0)
        finally:
            for consumer in consumers:
                consumer.cancel()
            await asyncio.gather(*consumers, return_exceptions=True)

    async def _consume(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                await work()
            except Exception as error:
                self._log.debug("not shown in the UI: %s", type(error).__name__)
            self._queue.task_done()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY)
            state = self._state
            if state and state.soaking == state.phase and self._queue.empty():
                self._put(lambda state=state: self._advance(state, self._percent(state)))  # type: ignore[misc]

    def _percent(self, state: State) -> float:
        """How much of the soak is over, 0–100."""
        phase = next(p for p in self.plan.phases if p.name == state.phase)
        length = self.plan.seconds(phase.duration or 0.0)
        left = max(0.0, state.due - CLOCK.now())
        return 100.0 * (1.0 - min(1.0, left / length)) if length else 100.0

    async def _rename(self, name: str) -> None:
        if run := flow_run.get_id():
            async with get_client() as client:
                await client.update_flow_run(UUID(run), name=name)

    async def _table(self, state: State) -> None:
        seen = self._view(state)
        key, table, text = _key(state, state.phase), rows(seen), f"{over_the_table(state)}\n\n{under_the_title(seen)}"
        if not await self._update(key, ArtifactUpdate(data=json.dumps(table), description=text)):
            self._artifacts[key] = await acreate_table_artifact(table, key=key, description=text)

    def _view(self, state: State) -> View:
        return view(Story(state, self._history), self.plan, CLOCK.now())

    async def _explain(self, state: State) -> None:
        key, text = _key(state, "rollback"), way_back(state)
        if not await self._update(key, ArtifactUpdate(data=text)):
            about = f"Why {state.service} {state.version} was rolled back"
            self._artifacts[key] = await acreate_markdown_artifact(text, key=key, description=about)

    async def _advance(self, state: State, percent: float) -> None:
        key, phase = (
            _key(state, state.phase, "progress"),
            f"{state.service} {state.version}: time spent in {state.phase}",
        )
        if not await self._update(key, ArtifactUpdate(data=percent)):
            self._artifacts[key] = await acreate_progress_artifact(percent, key=key, description=phase)

    async def _update(self, key: str, change: ArtifactUpdate) -> bool:
        """Whether there was something to update."""
        if key not in self._artifacts:
            return False
        async with get_client() as client:
            await client.update_artifact(self._artifacts[key], change)
        return True


def _key(state: State, *parts: str) -> str:
    """Artifact keys are made of lower-case letters, digits and dashes."""
    return "-".join("".join(c if c.isalnum() else "-" for c in text.lower()) for text in (state.rollout, *parts))
