"""Where latency is compared with the baseline, and what "20 % slower" stands for there."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from canary.judge.block import Tally
from canary.judge.edges import above_share, edges

EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


def lognormal(total: float, p50: float, p95: float, slower: float = 1.0, at: tuple[float, ...] = EDGES) -> Tally:
    spread = math.log(p95 / p50) / NormalDist().inv_cdf(0.95)
    under = [NormalDist(math.log(p50 * slower), spread).cdf(math.log(edge)) for edge in at]
    return Tally(total, 0.0, {edge: total * share for edge, share in zip(at, under, strict=True)})


def test_the_edges_next_to_p50_p90_and_p99_are_taken() -> None:
    """p50 80 ms, p95 190 ms: 75, 150 and 300 ms."""
    found = edges(lognormal(10_000, 0.08, 0.19), 0.0)
    assert [edge.seconds for edge in found] == [0.075, 0.15, 0.3]
    assert {edge.odds for edge in found} == {1.0}


def test_so_much_slower_is_translated_into_odds_at_each_edge() -> None:
    """Within a half of the true odds of a log-normal that is 20 % slower: wide buckets cost accuracy."""
    base, slow = lognormal(1e6, 0.08, 0.19), lognormal(1e6, 0.08, 0.19, 1.2)
    for edge in edges(base, 0.2):
        p0, p1 = above_share(base, edge.seconds), above_share(slow, edge.seconds)
        true = p1 / (1 - p1) * (1 - p0) / p0
        assert edge.odds == pytest.approx(true, rel=0.5)
        assert edge.odds > 1.2


def test_a_named_quantile_looks_at_its_own_edge_alone() -> None:
    """The nearest one to the p95."""
    assert [edge.seconds for edge in edges(lognormal(10_000, 0.08, 0.19), 0.2, (0.95,))] == [0.2]


@pytest.mark.parametrize(
    "tally", [Tally(0.0), Tally(100.0), Tally(100.0, 0.0, {0.005: 0.0}), Tally(0.0, 0.0, {0.005: 0.0, 1.0: 0.0})]
)
def test_nothing_to_compare_at_gives_no_edge(tally: Tally) -> None:
    """No observation, no bucket, or every observation above the last edge."""
    assert edges(tally, 0.2) == ()


def test_an_edge_above_everything_tells_of_harm_still() -> None:
    """All of the baseline lies below it: a canary above it is slower, whatever the margin."""
    (edge,) = edges(Tally(1000.0, 0.0, {0.01: 0.0, 0.015: 1000.0, 0.02: 1000.0}), 0.0)
    assert (edge.seconds, edge.odds) == (0.015, 1.0)
