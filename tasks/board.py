"""What the Prefect UI shows while a rollout runs. A queue with a consumer that may die: nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from canary.blocks.opener import CLOCK
from canary.plan.model import Plan
from canary.rollout import events as e
from canary.rollout.state import State
from canary.rollout.words import say
from canary.tasks.criteria import rows

PROGRESS_EVERY = 2.0
"""Seconds between two updates of what the UI shows."""


class Board:
    """A listener of the record: each line becomes a log line, and some an artifact or a new run name."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._log = get_run_logger()
        self._queue: asyncio.Queue[Callable[[], Awaitable[Any]]] = asyncio.Queue()
        self._state: State | None = None
        self._progress: dict[str, UUID] = {}

    def __call__(self, state: State, event: e.Event) -> None:
        """Must return at once."""
        self._state = state
        if sentence := say(state, event):
            self._log.info(sentence)
        match event:
            case e.PhaseStarted(phase=phase):
                self._put(lambda: self._rename(phase))
            case e.Judged() | e.ChecksLooked():
                self._put(lambda: self._table(state))
            case e.RollbackStarted(reason=reason):
                self._put(lambda: self._reason(state, reason))
            case e.RolloutEnded(outcome=outcome):
                self._put(lambda: self._rename(outcome.replace("_", " ")))

    def _put(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._queue.put_nowait(work)

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
                self._put(lambda state=state: self._advance(state))  # type: ignore[misc]

    async def _rename(self, step: str) -> None:
        state, run = self._state, flow_run.get_id()
        if state and run:
            async with get_client() as client:
                await client.update_flow_run(UUID(run), name=f"{state.service} {state.version} · {step}")

    async def _table(self, state: State) -> None:
        about = f"{state.service} {state.version}, phase {state.phase}"
        verdict = f"{state.verdict.outcome}: {state.verdict.reason}" if state.verdict else "checks at exposure 0"
        await acreate_table_artifact(rows(state), key=_key(state), description=f"## {about}\n\n{verdict}")

    async def _reason(self, state: State, reason: str) -> None:
        text = f"# Rolled back: {state.service} {state.version}\n\n**{reason}**\n\nin phase {state.phase}"
        await acreate_markdown_artifact(text, key=f"{_slug(state.rollout)}-rollback", description="why")

    async def _advance(self, state: State) -> None:
        """How far the soak is, 0–100."""
        phase = next(p for p in self.plan.phases if p.name == state.phase)
        length = self.plan.seconds(phase.duration or 0.0)
        left = max(0.0, state.due - CLOCK.now())
        done = 100.0 * (1.0 - min(1.0, left / length)) if length else 100.0
        if state.phase not in self._progress:
            self._progress[state.phase] = await acreate_progress_artifact(
                done, key=f"{_key(state)}-progress", description=f"{state.service} {state.version}: {state.phase}"
            )
        else:
            await aupdate_progress_artifact(self._progress[state.phase], done)


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def _key(state: State) -> str:
    return f"{_slug(state.rollout)}-{_slug(state.phase)}"
