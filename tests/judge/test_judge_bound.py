"""Evidence on a rate against a limit: clusters, both sides, late starts, and what could have been seen."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.bound import BETTER, WORSE, Bound, evidence, interval, seen_by_now


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("side", [WORSE, BETTER])
def test_clusters_up_to_d_make_nobody_rich(limit: float, size: int, side: np.ndarray) -> None:
    """One cause in a chain of causes brings `size` bad requests, else one good; the share of bad ones is the limit."""
    cause = limit / (limit + size * (1 - limit))
    mean = cause * evidence(limit, 4, side, size, size) + (1 - cause) * evidence(limit, 4, side, 1, 0)
    assert float(mean) <= 1 + 1e-12
    twice = 0.0
    for first, second in product((True, False), repeat=2):
        chance = (cause if first else 1 - cause) * (cause if second else 1 - cause)
        bad = size * (first + second)
        twice += chance * float(evidence(limit, 4, side, bad + (not first) + (not second), bad))
    assert twice <= 1 + 1e-12


def folded(limit: float, rate: float, blocks: int, runs: int, n: int = 150) -> Bound:
    draw, bound = np.random.default_rng(2), Bound.start(limit, 4, (runs,))
    for _ in range(blocks):
        bound = bound.add(np.full(runs, float(n)), draw.binomial(n, rate, runs).astype(float))
    return bound


def test_a_low_rate_is_shown_below_and_a_high_one_above() -> None:
    """10 canary requests a second, limit 1 %: 0.2 % is shown within 8 minutes, 5 % within 2."""
    assert (folded(0.01, 0.002, 32, 200).fine >= 20).mean() >= 0.8
    assert (folded(0.01, 0.05, 8, 200).harm >= 100).mean() >= 0.9


def test_at_the_limit_neither_is_shown() -> None:
    """Half an hour, 1,000 canaries that are exactly at the limit."""
    bound = folded(0.01, 0.01, 120, 1000)
    assert (bound.fine >= 20).mean() <= 0.05
    assert (bound.harm >= 100).mean() <= 0.01


def test_harm_that_begins_late_is_seen_soon() -> None:
    """After 20 good minutes the evidence does not have to be won back first."""
    bound = Bound.start(0.01)
    for _ in range(80):
        bound = bound.add(150.0, 0.0)
    blocks = 0
    while float(bound.harm) < 100:
        bound, blocks = bound.add(150.0, 15.0), blocks + 1
    assert blocks <= 10


def test_how_blocks_are_cut_does_not_matter_without_late_starts() -> None:
    """Evidence is a function of the counts."""
    whole, cut = Bound.start(0.05), Bound.start(0.05)
    whole = whole.add(600.0, 11.0)
    for bad in (3.0, 2.0, 6.0):
        cut = cut.add(200.0, bad)
    assert float(whole.harm) == pytest.approx(float(cut.harm), rel=1e-12)
    assert float(whole.fine) == pytest.approx(float(cut.fine), rel=1e-12)


def test_what_nobody_is_sure_of_counts_against_both_sides() -> None:
    """Requests between two edges are no evidence of harm, and spoil the evidence of good."""
    sure = Bound.start(0.05).add(1000.0, 0.0)
    unsure = Bound.start(0.05).add(1000.0, 0.0, 200.0)
    assert float(sure.harm) == float(unsure.harm)
    assert float(sure.fine) > 20 > float(unsure.fine)


@given(
    limit=st.floats(1e-6, 0.999),
    cluster=st.integers(1, 1000),
    blocks=st.lists(st.tuples(st.floats(0, 1e12), st.floats(0, 1)), max_size=30),
)
def test_any_counts_give_numbers(limit: float, cluster: int, blocks: list[tuple[float, float]]) -> None:
    """Of any size, in any number of blocks."""
    bound = Bound.start(limit, cluster)
    for n, part in blocks:
        bound = bound.add(n, n * part)
    assert 0 <= float(bound.harm) < float("inf")
    assert 0 <= float(bound.fine) < float("inf")
    low, high = interval(float(bound.n), float(bound.surely), float(bound.maybe), cluster)
    assert 0 <= low <= high <= 1
    seen = seen_by_now(limit, float(bound.n), cluster, 100.0)
    assert seen is None or limit < seen <= 1


@pytest.mark.parametrize(("limit", "cluster"), [(0.0, 4), (1.0, 4), (0.5, 0)])
def test_limits_that_are_none_are_refused(limit: float, cluster: int) -> None:
    """Nothing could be held against them."""
    with pytest.raises(ValueError, match="a limit lies between 0 and 1"):
        Bound.start(limit, cluster)


def test_what_could_have_been_seen_comes_nearer_with_every_request() -> None:
    """With 30 requests nothing could; with many, a little above the limit."""
    found = [seen_by_now(0.01, n, 4, 100.0) for n in (10, 1000, 10_000, 100_000)]
    assert found[0] is None or found[0] > 0.5
    rising = [share or 1.0 for share in found]
    assert rising == sorted(rising, reverse=True)
    assert 0.01 < rising[-1] < 0.02
