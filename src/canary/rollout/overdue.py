"""What should have run after a rollout's end and has not: reviews, and looks of the watch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from canary.plan.model import Plan
from canary.rollout.state import State

LATE = 60.0
"""Seconds that a run may be late before it counts as lost: Prefect and its workers take their time."""
GIVEN_UP = 7 * 86_400.0
"""Seconds after which nobody wants a review of that day any more."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A review by its offset in seconds, or a look by its number."""

    kind: Literal["review", "watch"]
    which: float


def overdue(plan: Plan, state: State, now: float) -> tuple[Overdue, ...]:
    """Everything that is missing now; nothing of a rollout that was not promoted, or went back since."""
    if state.ended is None or state.ended.outcome != "promoted" or state.rollback:
        return ()
    return (*_reviews(state, now), *_look(plan, state, now))


def _reviews(state: State, now: float) -> Iterator[Overdue]:
    for offset, due in state.reviews.items():
        if offset not in state.reviewed and LATE < now - due < GIVEN_UP:
            yield Overdue("review", offset)


def _look(plan: Plan, state: State, now: float) -> Iterator[Overdue]:
    """The newest one that was due: each look schedules the next, so one that is lost ends the chain. What was missed in
    between is in its measurement."""
    if plan.watch is None:
        return
    every, last = plan.watch.every, max(state.watched, default=0)
    number, over = int((now - state.ended_at) // every), state.ended_at + plan.watch.lasts
    if now <= over and now > state.ended_at + (last + 2) * every + LATE:
        yield Overdue("watch", float(number))
