"""The shift's interval and its root finder, against published results and plain definitions."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import MeasurementFailed
from canary.judge.kayenta.brent import root
from canary.judge.kayenta.shift import Values, _score, shift, wins

SHIFTS = json.loads(Path(__file__).with_name("kayenta_more.json").read_text())["shifts"]

tied_values = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


def arm(*values: float) -> Values:
    return np.array(values, dtype=np.float64)


def ranked(values: list[float]) -> list[float]:
    """Average ranks by the definition: how many are smaller, and the middle of the equal ones."""
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


def plain_score(x: list[float], y: list[float]) -> float | None:
    """The statistic as textbooks write it, from ranks; None when everything is tied."""
    n, m = len(x), len(y)
    excess = sum(ranked(x + y)[:n]) - n * (n + 1) / 2 - n * m / 2
    ties = sum(t**3 - t for t in Counter(x + y).values())
    variance = n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))
    sign = (excess > 0) - (excess < 0)
    return (excess - 0.5 * sign) / variance**0.5 if variance else None


@pytest.mark.parametrize("case", SHIFTS, ids=[case["name"] for case in SHIFTS])
def test_the_interval_is_the_published_one(case: dict[str, Any]) -> None:
    """Data and R's results of MannWhitneySuite in spinnaker/spinnaker, kayenta/, commit 09ce5bf7, Apache-2.0.

    The suite holds R's estimate to 1e-4 where values are tied, and so does this; the interval is R's to the last bit.
    """
    found = shift(arm(*case["canary"]), arm(*case["baseline"]), case["conf_level"])
    assert (found.lower, found.upper) == pytest.approx((case["lower"], case["upper"]), rel=1e-12)
    assert found.estimate == pytest.approx(case["estimate"], abs=case["within"])


@given(tied_values, tied_values)
def test_the_score_is_the_rank_sum_with_ties_and_continuity_corrected(x: list[float], y: list[float]) -> None:
    """Counting sorted pairs gives what ranking everything gives; all tied has no score."""
    expected = plain_score(x, y)
    if expected is None:
        with pytest.raises(MeasurementFailed, match="tied"):
            _score(np.sort(arm(*x)), np.sort(arm(*y)))
    else:
        assert _score(np.sort(arm(*x)), np.sort(arm(*y))) == pytest.approx(expected)


@given(tied_values, tied_values)
def test_wins_counts_pairs_and_half_the_ties(x: list[float], y: list[float]) -> None:
    """Mann and Whitney's U by its definition."""
    expected = sum((a > b) + (a == b) / 2 for a, b in itertools.product(x, y))
    assert wins(np.sort(arm(*x)), np.sort(arm(*y))) == expected


@given(tied_values, tied_values, st.sampled_from([0.8, 0.95, 0.98]))
def test_the_interval_stays_among_the_differences(x: list[float], y: list[float], conf_level: float) -> None:
    """No end and no estimate lies beyond the smallest and largest difference of a pair (plus a constant's noise)."""
    differences = [a - b for a, b in itertools.product(x, y)]
    try:
        found = shift(arm(*x), arm(*y), conf_level)
    except MeasurementFailed:
        assert len(set(x)) == len(set(y)) == 1
        return
    for end in (found.lower, found.upper, found.estimate):
        assert min(differences) - 1e-3 <= end <= max(differences) + 1e-3


def test_more_confidence_is_a_wider_interval() -> None:
    """The same arms at 80 % and at 99 %."""
    random = np.random.default_rng(7)
    x, y = random.normal(10, 1, 60), random.normal(8, 1, 60)
    narrow, wide = shift(x, y, 0.8), shift(x, y, 0.99)
    assert wide.lower < narrow.lower < narrow.estimate < narrow.upper < wide.upper


def test_the_estimate_is_a_middle_one_of_the_differences() -> None:
    """Hodges and Lehmann's median, but for the pair on either side that the continuity correction makes equal."""
    random = np.random.default_rng(8)
    x, y = random.normal(10, 1, 31), random.normal(8, 1, 31)
    differences = np.sort((x[:, None] - y).ravel())
    middle = differences.size // 2
    assert differences[middle - 1] - 1e-4 <= shift(x, y, 0.98).estimate <= differences[middle + 1] + 1e-4


def test_a_quantile_out_of_reach_leaves_all_differences() -> None:
    """One sample decides too little: the ends are the smallest and the largest difference themselves."""
    found = shift(arm(1000), arm(*range(20, 50)), 0.98)
    assert (found.lower, found.upper) == (951, 980)


def test_the_test_is_asymptotic_for_small_samples_too() -> None:
    """Four against four at 80 %: R's exact interval is 8 to 37."""
    found = shift(arm(10, 20, 30, 40), arm(1, 2, 3, 4), 0.8)
    assert (found.lower, found.upper) == pytest.approx((9, 36), abs=1e-3)


def test_constant_arms_are_the_same_shift_every_time() -> None:
    """No randomness; the interval is as narrow as the noise that stands in for it."""
    found = shift(arm(10, 10, 10), arm(4, 4, 4, 4), 0.98)
    assert found == shift(arm(10, 10, 10), arm(4, 4, 4, 4), 0.98)
    assert (found.lower, found.upper, found.estimate) == pytest.approx((6, 6, 6), abs=1e-3)
    assert found.lower < found.upper


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([5.0], [1.0]),
        ([0.3], [0.1]),
        ([1e16], [1.0]),
        ([5.0], [0.0, 0.0, 0.0]),
        ([0.0, 0.0], [5.0]),
        ([1e-20, 2e-20], [1.0, 1.0]),
    ],
)
def test_where_everything_is_tied_there_is_no_interval(x: list[float], y: list[float]) -> None:
    """One value against one, or against zeros, which take no noise; or differences lost in the subtraction."""
    with pytest.raises(MeasurementFailed, match="tied"):
        shift(arm(*x), arm(*y), 0.98)


@pytest.mark.parametrize("huge", [[1.7e308, 1.0], [1e308, -1e308]])
def test_values_too_far_apart_for_a_double_are_refused(huge: list[float]) -> None:
    """No overflow warning, no infinite interval."""
    with pytest.raises(MeasurementFailed, match="too far apart"):
        shift(arm(*huge), arm(-1.7e308, 3.0), 0.98)


def test_an_end_that_is_zero_is_the_root() -> None:
    """Without asking the function once; of two zeros the lower."""
    assert root(lambda _: 1 / 0, (1.0, 0.0), (2.0, 0.0)) == 1.0
    assert root(lambda _: 1 / 0, (1.0, 0.0), (2.0, -1.0)) == 1.0
    assert root(lambda _: 1 / 0, (1.0, 1.0), (2.0, 0.0)) == 2.0


@given(st.floats(-50, 50), st.sampled_from([1, 3]), st.floats(1, 1000), st.floats(1, 1000))
def test_the_root_of_a_smooth_function_is_found_to_the_tolerance(
    zero: float, power: int, left: float, right: float
) -> None:
    """A falling line and a falling cubic, which is flat at its zero."""

    def falling(x: float) -> float:
        return -((x - zero) ** power)

    low, high = zero - left, zero + right
    assert root(falling, (low, falling(low)), (high, falling(high))) == pytest.approx(zero, abs=1e-4)


@given(st.floats(-50, 50), st.floats(1, 1000), st.floats(1, 1000))
def test_the_root_of_a_step_is_beside_it(step: float, left: float, right: float) -> None:
    """The score is a step function: it jumps over zero."""

    def jump(x: float) -> float:
        return 3.0 if x < step else -0.2

    low, high = step - left, step + right
    assert root(jump, (low, 3.0), (high, -0.2)) == pytest.approx(step, abs=1e-4)
