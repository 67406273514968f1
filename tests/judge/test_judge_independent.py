"""The exact form: evidence of bad events that are each one by itself."""

from __future__ import annotations

import numpy as np
import pytest

from canary.judge.independent import AT_ONCE, TIMES, Independent
from canary.judge.wealth import RICH, Counts


def test_one_bad_event_on_the_canary_is_worth_its_likelihood_ratio() -> None:
    """One of ten requests was the canary's, and so was the bad one."""
    after = Independent.start().add(Counts.of(10, 1, 90, 0), 0)
    ratios = TIMES * 100 / (TIMES * 10 + 90)
    assert float(after.owned) == pytest.approx(1 - AT_ONCE + AT_ONCE * float(ratios.mean()))


def test_nothing_is_learnt_without_bad_events_or_with_a_silent_arm() -> None:
    """Both leave the evidence as it was."""
    for counts in (Counts.of(10, 0, 90, 0), Counts.of(0, 0, 90, 3), Counts.of(10, 3, 0, 0)):
        assert float(Independent.start().add(counts, 0).owned) == 1.0


def test_a_late_harm_is_found_after_a_good_hour() -> None:
    """What was kept back starts anew."""
    state = Independent.start()
    for _ in range(240):
        state = state.add(Counts.of(150, 0, 1350, 3), 0)
    assert state.owned < 1
    for _ in range(40):
        state = state.add(Counts.of(150, 2, 1350, 3), 0)
    assert state.owned > 100


def test_evidence_ends_at_what_numbers_can_hold() -> None:
    """A flood of bad events on the canary, block after block, stays finite; so does the opposite."""
    state = Independent.start(shape=(2,))
    flood = Counts.of([1e6, 1e6], [1e6, 0], [1e7, 1e7], [0, 1e7])
    for _ in range(20):
        state = state.add(flood, 0)
    assert np.isfinite(state.owned).all()
    assert state.owned[0] == pytest.approx(RICH)
    assert 0 < state.owned[1] < 1
