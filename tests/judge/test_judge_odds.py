"""The largest expected share of bad events, against Fisher's noncentral hypergeometric distribution itself."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.odds import bet, largest_share


def mean_share(n_c: int, n_b: int, bad: int, odds: float) -> float:
    """E[y | E] by enumeration."""
    seen = range(max(0, bad - n_b), min(bad, n_c) + 1)
    chances = [comb(n_c, x) * comb(n_b, bad - x) * odds**x for x in seen]
    return sum(chance * x for chance, x in zip(chances, seen, strict=True)) / sum(chances) / bad


def floats(*numbers: float) -> list[np.ndarray]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]


@pytest.mark.parametrize("odds", [0.2, 0.5, 0.9, 1.0, 1.1, 1.35, 2.0, 6.0])
def test_it_is_never_below_the_mean(odds: float) -> None:
    """For every small block; that is what makes the bets fair at least."""
    for n_c, n_b in ((1, 1), (1, 9), (3, 7), (10, 10), (12, 4), (2, 40)):
        for bad in range(1, n_c + n_b + 1):
            found = float(largest_share(odds, *floats(n_c, n_b, bad)))
            assert found >= mean_share(n_c, n_b, bad, odds) * (1 - 1e-12)
            assert found <= 1


@pytest.mark.parametrize("odds", [0.3, 1.0, 1.8])
def test_one_bad_event_is_exact(odds: float) -> None:
    """There the bound is the mean: w n_c / (w n_c + n_b)."""
    assert float(largest_share(odds, *floats(10, 90, 1))) == pytest.approx(mean_share(10, 90, 1, odds), rel=1e-12)


@given(
    odds=st.floats(1e-3, 1e3),
    n_c=st.integers(1, 10**12),
    n_b=st.integers(1, 10**12),
    part=st.floats(0, 1),
    better=st.floats(1.01, 60),
)
def test_numbers_of_any_size_give_shares(odds: float, n_c: int, n_b: int, part: float, better: float) -> None:
    """Never NaN, never above 1, and a stake never above its cap."""
    bad = max(1.0, float(int((n_c + n_b) * part)))
    share = float(largest_share(odds, *floats(n_c, n_b, bad)))
    stake = float(bet(odds, np.asarray(better), *floats(n_c, n_b, bad), 0.9))
    assert 0 < share <= 1
    assert 0 <= stake <= 0.9


def test_many_odds_at_once_are_each_alone() -> None:
    """Both formulas, side by side in one array."""
    odds = np.array([0.1, 0.5, 0.999, 1.0, 1.5, 4.0])
    together = largest_share(odds, *floats(20, 180, 7))
    alone = [float(largest_share(float(each), *floats(20, 180, 7))) for each in odds]
    assert together.tolist() == pytest.approx(alone, rel=1e-12)
