"""What "so much slower" means at a bucket edge: read off the baseline's own histogram."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.block import Tally
from canary.judge.edges import above_share, edges

DEFAULT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MANY = 1e9


def histogram(below: dict[float, float]) -> Tally:
    return Tally(MANY, 0.0, {edge: MANY * share for edge, share in below.items()})


def log_normal(sigma: float) -> dict[float, float]:
    """Shares at or below the default edges, p95 at 190 ms."""
    middle = math.log(0.19) - NormalDist().inv_cdf(0.95) * sigma
    return {edge: NormalDist().cdf((math.log(edge) - middle) / sigma) for edge in DEFAULT}


def exponential(value: float) -> float:
    return 1 - 20 ** (-value / 0.19)


def odds(share: float) -> float:
    return share / (1 - share)


@pytest.mark.parametrize("sigma", [0.4, 0.7, 1.2])
def test_the_odds_of_a_log_normal_are_its_own(sigma: float) -> None:
    """At every edge that is chosen, by wide buckets."""
    middle = math.log(0.19) - NormalDist().inv_cdf(0.95) * sigma
    chosen = edges(histogram(log_normal(sigma)), 0.2)
    assert chosen
    for edge in chosen:
        above, slowed = (
            1 - NormalDist().cdf((math.log(edge.seconds / times) - middle) / sigma) for times in (1.0, 1.2)
        )
        assert edge.odds == pytest.approx(odds(slowed) / odds(above), rel=1e-3)


def test_the_odds_of_an_exponential_are_near() -> None:
    """Within an eighth; by a line of shares it would be 3.0 above 250 ms."""
    chosen = edges(histogram({edge: exponential(edge) for edge in DEFAULT}), 0.2)
    for edge in chosen:
        true = odds(1 - exponential(edge.seconds / 1.2)) / odds(1 - exponential(edge.seconds))
        assert edge.odds == pytest.approx(true, rel=0.125)


@given(
    st.lists(st.integers(0, 1000), min_size=len(DEFAULT) + 1, max_size=len(DEFAULT) + 1).filter(any),
    st.floats(0.001, 12),
    st.floats(0.001, 12),
)
def test_the_share_above_only_falls_and_is_exact_at_the_edges(counts: list[int], one: float, two: float) -> None:
    """Whatever the histogram: empty buckets, all in one, none above the last edge."""
    so_far = [float(sum(counts[: at + 1])) for at in range(len(DEFAULT))]
    seen = Tally(float(sum(counts)), 0.0, dict(zip(DEFAULT, so_far, strict=True)))
    for edge, under in seen.buckets.items():
        assert above_share(seen, edge) == pytest.approx(1 - under / seen.total, abs=1e-9)
    low, high = sorted((one, two))
    assert 1 >= above_share(seen, low) + 1e-9 >= above_share(seen, high) >= -1e-9
