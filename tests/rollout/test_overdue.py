"""What should have run after a rollout's end and has not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.rollout.events import RolloutEnded
from canary.rollout.overdue import GIVEN_UP, LATE, Overdue, overdue
from canary.rollout.state import Rollback, State

END = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def plan(make_world: Any) -> Plan:
    return parse_plan(json.dumps(make_world({"watch": {"for": "24h", "every": "5m", "then": "page"}}).document))


@pytest.fixture
def promoted() -> State:
    ended = RolloutEnded(outcome="promoted", phase="full", reason="every phase has passed", verified=True)
    due = {DAY: END + DAY, 2 * DAY: END + 2 * DAY}
    return State("r1", ended=ended, ended_at=END, reviews=due, watched=frozenset(range(1, 289)))


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (END + DAY + LATE, []),
        (END + DAY + LATE + 1, [DAY]),
        (END + 2 * DAY + LATE + 1, [DAY, 2 * DAY]),
        (END + DAY + GIVEN_UP, [2 * DAY]),
    ],
)
def test_a_review_is_missing_once_it_is_late_and_until_nobody_wants_it(
    plan: Plan, promoted: State, now: float, found: list[float]
) -> None:
    """A minute is left to Prefect and its workers."""
    assert overdue(plan, promoted, now) == tuple(Overdue("review", offset) for offset in found)


def test_a_review_that_was_made_is_not_missing(plan: Plan, promoted: State) -> None:
    """However late it was."""
    state = replace(promoted, reviewed={DAY: ("fine",)})
    assert overdue(plan, state, END + DAY + 3600) == ()


@pytest.mark.parametrize(
    ("watched", "minutes", "number"),
    [(range(0), 10, None), (range(0), 11.5, 2), (range(1, 4), 20, None), (range(1, 4), 26.5, 5), (range(1, 4), 61, 12)],
)
def test_a_broken_chain_of_looks_goes_on_with_the_newest_one(
    plan: Plan, promoted: State, watched: range, minutes: float, number: int | None
) -> None:
    """Two looks and a minute after the last one; what was missed in between is in the next one's measurement."""
    state = replace(promoted, watched=frozenset(watched))
    expected = () if number is None else (Overdue("watch", float(number)),)
    assert overdue(plan, state, END + 60 * minutes) == expected


def test_after_the_watch_no_look_is_missing(plan: Plan, promoted: State) -> None:
    """288 looks in a day, and no more; nor without a watch in the plan."""
    state = replace(promoted, watched=frozenset(range(1, 200)))
    assert overdue(plan, state, END + DAY) == (Overdue("watch", 288.0),)
    assert overdue(plan, state, END + DAY + 1) == ()
    assert overdue(plan.model_copy(update={"watch": None}), state, END + DAY) == ()


def test_nothing_is_missing_of_a_rollout_that_went_back(plan: Plan, promoted: State) -> None:
    """Nor of one that never reached everybody."""
    back = replace(promoted, rollback=Rollback(cause="abort", reason="enough", started_at=END))
    assert overdue(plan, back, END + 3 * DAY) == ()
    assert overdue(plan, replace(promoted, ended=None), END + 3 * DAY) == ()
