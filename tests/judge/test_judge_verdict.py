"""Verdicts: what can be said at all, and which one wins."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.ports import Increment

SOME, NONE = Increment(10.0, 1.0, {0.1: 9.0}), Increment(0.0)
WORST_FIRST = [Outcome.FAIL, Outcome.NO_DATA, Outcome.UNDECIDED, Outcome.PASS]


def verdict(outcome: Outcome = Outcome.PASS, **changes: Any) -> Verdict:
    """A consistent verdict of that outcome, but for the changes."""
    canary = None if outcome is Outcome.NO_DATA else SOME
    given_: dict[str, Any] = {"value": 0.1, "limit": 0.2, "unit": "share", "canary": canary, "baseline": None}
    return Verdict(**{"rule": "< 20%", "measure": "http", "outcome": outcome, "reason": "so", **given_, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"canary": None},
        {"canary": NONE},
        {"baseline": NONE},
        {"outcome": Outcome.UNDECIDED, "canary": NONE},
        {"outcome": Outcome.NO_DATA, "canary": SOME},
        {"outcome": Outcome.NO_DATA, "canary": SOME, "baseline": SOME},
        {"value": math.nan},
        {"limit": math.inf},
        {"reason": ""},
    ],
)
def test_a_verdict_that_contradicts_its_numbers_cannot_be_made(changes: dict[str, Any]) -> None:
    """No PASS without samples in every arm compared, no NO_DATA with them, no number that is none, no silence."""
    with pytest.raises(ValueError, match="the verdict on '< 20%'"):
        verdict(**changes)


def test_no_data_in_one_of_two_compared_arms_is_no_data() -> None:
    """The other arm's samples do not help."""
    assert verdict(Outcome.NO_DATA, canary=SOME, baseline=NONE).outcome is Outcome.NO_DATA


@given(st.lists(st.sampled_from(WORST_FIRST), min_size=1, max_size=8))
def test_the_worst_verdict_wins(outcomes: list[Outcome]) -> None:
    """FAIL, then NO_DATA, then UNDECIDED; PASS only when all pass."""
    phase = PhaseVerdict.of([verdict(outcome) for outcome in outcomes])
    assert phase.outcome is next(outcome for outcome in WORST_FIRST if outcome in outcomes)


@given(st.lists(st.sampled_from(WORST_FIRST), min_size=1, max_size=8))
def test_a_phase_verdict_survives_json_exactly(outcomes: list[Outcome]) -> None:
    """Through text and back, numbers and buckets included; keys of a later version are ignored."""
    phase = PhaseVerdict.of([verdict(outcome) for outcome in outcomes])
    data = json.loads(json.dumps(phase.to_data()))
    data["verdicts"][0]["interval"] = [0.1, 0.2]
    assert PhaseVerdict.from_data(data) == phase


def test_a_phase_says_the_reasons_of_its_worst_verdicts_only() -> None:
    """The first three, and how many more there are."""
    fails = [verdict(Outcome.FAIL, reason=f"bad {k}") for k in range(5)]
    phase = PhaseVerdict.of([verdict(reason="fine"), *fails])
    assert phase.reason == "bad 0; bad 1; bad 2; and 2 more"
    assert PhaseVerdict.of([fails[0], fails[0]]).reason == "bad 0"


def test_a_phase_of_nothing_or_better_than_its_worst_cannot_be_made() -> None:
    """What measured nothing cannot pass."""
    with pytest.raises(ValueError, match="proves nothing"):
        PhaseVerdict.of([])
    with pytest.raises(ValueError, match="its worst verdict FAIL"):
        PhaseVerdict(Outcome.PASS, (verdict(Outcome.FAIL),), "fine")
