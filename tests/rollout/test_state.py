"""What a folded state says of the users: whether some are on the candidate, all of them, or more than before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canary.rollout import events as e
from canary.rollout.halts import Rollback, Stop
from canary.rollout.state import State

RELEASE = {name: e.Identities(candidate="2", stable="1") for name in ("api", "web")}
FULL = State("r1", exposed=1.0, asked=1.0, exposed_phase="full", passed=("staging", "full"))


def shown(observed: float | None, answer: Any = "yes") -> e.Shown:
    return e.Shown(answer=answer, observed=observed, detail="")


@pytest.mark.parametrize(
    ("more", "is_full"),
    [
        ({}, True),
        ({"exposed": 0.5}, False),
        ({"asked": 0.5}, False),
        ({"asked": 0.5, "exposed": 0.5}, False),
        ({"passed": ("staging",)}, False),
        ({"stop": Stop("Olga", "enough", "abort")}, False),
        ({"rollback": Rollback("fail", "bad", 1.0)}, False),
    ],
)
def test_full_is_what_was_seen_and_judged_and_not_revoked(more: dict[str, Any], is_full: bool) -> None:
    """Any one thing missing, or anything asked since, is not full: then a dead conductor's users are brought back."""
    assert replace(FULL, **more).at_full is is_full


@pytest.mark.parametrize(
    ("asked", "open_", "raised"),
    [(0.0, False, False), (0.01, False, True), (0.0, True, True), (1.0, True, True)],
)
def test_users_may_be_on_the_candidate_from_the_first_raise_asked(asked: float, open_: bool, raised: bool) -> None:
    """Until exposure 0 is asked, and nothing that was sent before can land any more."""
    assert State("r1", asked=asked, raise_open=open_).raised is raised


@pytest.mark.parametrize(
    ("api", "web", "rises"),
    [
        (shown(0.1), shown(0.1), False),
        (shown(0.5, "no"), shown(0.1), False),
        (shown(0.1), shown(0.05, "no"), True),
        (shown(0.1), shown(None, "cannot tell"), True),
        (shown(0.1), None, True),
    ],
)
def test_asking_for_a_share_rises_unless_every_target_was_seen_there(api: Any, web: Any, rises: bool) -> None:
    """A target that shows less, shows nothing, or was never looked at may get more users by it."""
    targets = {name: found for name, found in (("api", api), ("web", web)) if found}
    assert State("r1", release=RELEASE, targets=targets).rises(0.1) is rises


def test_a_state_begins_with_nothing() -> None:
    """No line folded: no time, no epoch, nobody on the candidate, and nothing that is not shown."""
    state = State("r1")
    times = (
        state.started_at, state.took_at, state.phase_since, state.due, state.ended_at, state.acknowledged_at,
        state.watched_at, state.soak_since,
    )  # fmt: skip
    assert set(times) == {0.0}
    assert (state.seq, state.epoch, state.takeovers, state.tries) == (0, 0, 0, 0)
    assert (state.asked, state.exposed, state.bad_requests, state.extend_asked, state.canary_seconds) == (0.0,) * 5
    assert (state.raise_open, state.extended, state.watch_bad) == (False, False, False)
    assert state.shown
    assert (state.raised, state.at_full) == (False, False)
