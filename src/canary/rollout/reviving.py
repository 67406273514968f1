"""Another conductor for a rollout whose own has died: it is asked for where conductors run, and given time to come."""

from __future__ import annotations

import contextlib
from typing import Protocol

from canary.errors import BadUsage
from canary.judge.verdict import Outcome
from canary.ports import Lock
from canary.rollout.conducting import Stores
from canary.rollout.events import AbortAsked, ConductorAsked
from canary.rollout.people import enter
from canary.rollout.state import State
from canary.rollout.waiting import within

ATTEMPTS = 2
"""Runs that are asked for in one rollout; the death after that ends it."""
COMES_WITHIN = 25.0
"""Seconds that an asked run gets to take the lock."""
ANSWERS_WITHIN = 2.0
"""Seconds that Prefect gets for one question: nothing that keeps users safe waits for it (promise I5)."""


class Runs(Protocol):
    """Where conductors run: Prefect. Either verb may raise anything, or answer never."""

    async def cancelled(self, state: State) -> bool:
        """Whether somebody has cancelled a run of the rollout."""

    async def start(self, state: State, attempt: int) -> None:
        """Ask for another run that conducts it; the same attempt asked for again is the same run."""


def cancelled_in_prefect() -> AbortAsked:
    """What pressing Cancel in Prefect's UI means."""
    return AbortAsked(by="somebody", how="cancelled in Prefect", reason="the run was cancelled in the Prefect UI")


class Reviver:
    """Asks for runs. What it has asked for is in the journal: several guards are one, and a new one goes on."""

    def __init__(self, stores: Stores, runs: Runs) -> None:
        self.stores = stores
        self.runs = runs
        self._started: set[tuple[str, int]] = set()

    async def may_come(self, state: State, lock: Lock) -> bool:
        """Whether another conductor may still take the expired lock, having asked for one; else it is to be taken.

        Raises JournalUnavailable, and Conflict when another guard was faster.
        """
        if goes_back(state):
            return False
        asked = state.asked_run
        if asked is None or asked.epoch != lock.epoch:
            attempt = asked.attempt + 1 if asked else 1
            if attempt > ATTEMPTS or await self._aborted(state):
                return False
            line = ConductorAsked(attempt=attempt, epoch=lock.epoch).entry(self.stores.clock.now())
            await self.stores.journal.append(state.rollout, state.seq, [line])
        elif self.stores.clock.now() >= asked.at + COMES_WITHIN:
            return False
        else:
            attempt = asked.attempt
        await self._start(state, attempt)
        return True

    async def _aborted(self, state: State) -> bool:
        """A cancelled run is an abort. What Prefect does not answer is no cancellation."""
        cancelled = False
        with contextlib.suppress(Exception):
            cancelled = await within(self.stores.clock, ANSWERS_WITHIN, self.runs.cancelled(state))
        if cancelled:
            with contextlib.suppress(BadUsage):
                await enter(self.stores.journal, self.stores.clock, state.rollout, cancelled_in_prefect())
        return cancelled

    async def _start(self, state: State, attempt: int) -> None:
        """Asked for again at each look until Prefect has answered."""
        if (state.rollout, attempt) in self._started:
            return
        with contextlib.suppress(Exception):
            await within(self.stores.clock, ANSWERS_WITHIN, self.runs.start(state, attempt))
            self._started.add((state.rollout, attempt))


def goes_back(state: State) -> bool:
    """Nobody needs to judge it any further."""
    failed = state.verdict is not None and state.verdict.outcome is Outcome.FAIL
    return bool(state.stop or state.rollback or state.rejected or failed)
