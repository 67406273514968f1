"""The intervals beside every share, and how runs are counted."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judge.decisions import NEVER, Decisions
from bench.judge.outcomes import Share, outcome


def interval(hits: int, runs: int) -> tuple[float, float]:
    found = Share.of(hits, runs)
    return found.low, found.high


def at_least(hits: int, runs: int, chance: float) -> float:
    """P(at least `hits` of `runs`), exactly."""
    p = Fraction(chance)
    return float(sum(comb(runs, k) * p**k * (1 - p) ** (runs - k) for k in range(hits, runs + 1)))


@given(st.integers(1, 60), st.data())
def test_an_interval_ends_where_what_was_seen_becomes_incredible(runs: int, data: st.DataObject) -> None:
    """At each end the binomial tail is half of what the interval may miss."""
    hits = data.draw(st.integers(0, runs))
    low, high = interval(hits, runs)
    assert low <= hits / runs <= high
    if hits:
        assert at_least(hits, runs, low) == pytest.approx(0.005, rel=1e-6)
    if hits < runs:
        assert 1 - at_least(hits + 1, runs, high) == pytest.approx(0.005, rel=1e-6)


@pytest.mark.parametrize(("hits", "runs"), [(0, 20_000), (6, 20_000), (200, 20_000), (1999, 2000), (10_000, 20_000)])
def test_the_ends_are_right_for_as_many_runs_as_a_cell_has(hits: int, runs: int) -> None:
    """The same tails, summed from logarithms."""
    k = np.arange(runs + 1)
    faculties = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, runs + 1)))])
    ways = faculties[runs] - faculties[k] - faculties[runs - k]
    for end, seen in zip(interval(hits, runs), (k >= hits, k <= hits), strict=True):
        if 0 < end < 1:
            mass = np.exp(ways + k * np.log(end) + (runs - k) * np.log1p(-end))
            assert mass[seen].sum() == pytest.approx(0.005, rel=1e-6)


def test_every_run_is_counted_once_and_pays_until_it_is_rolled_back() -> None:
    """Rolled back at 30 s; green; green but rolled back later; neither."""
    rollback = np.array([30.0, NEVER, 1800.0, NEVER])
    green = np.array([NEVER, 900.0, 60.0, NEVER])
    served = np.tile(np.arange(1.0, 121.0), (4, 1))
    (found,) = [outcome("any", [Decisions(rollback, green)], [served])]
    assert (found.rollback.share, found.green.share, found.inconclusive.share) == (0.5, 0.25, 0.25)
    assert found.mean == (30 + 3 * 1800) / 4
    assert found.served == (2 + 3 * 120) / 4
    assert (found.median, found.green_median) == (1800.0, None)
