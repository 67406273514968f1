"""Evidence of a comparison: fair at least while nothing is wrong, and quick when something is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.judge.profiles import FINE, INDEPENDENT, STEADY, SWIFT, Profile
from canary.judge.ratio import Band, Foreseen, Ratio
from canary.judge.wealth import Counts, Wealth

EVERY = [STEADY, SWIFT, INDEPENDENT, FINE]
Block = tuple[int, int, int, int]
blocks = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 50_000), st.integers(0, 50_000)).map(
        lambda b: (b[0], min(b[1], b[0]), b[2], min(b[3], b[2]))
    ),
    max_size=30,
)


def owned(profile: Profile, stream: Sequence[Block], odds: float = 1.0) -> float:
    wealth = Wealth.start(profile, odds)
    for number, block in enumerate(stream):
        wealth = wealth.add(Counts.of(*block), number // 4, len(stream) - number)
    return float(wealth.owned)


@pytest.mark.parametrize("profile", EVERY)
@pytest.mark.parametrize(("n_c", "n_b"), [(1, 3), (2, 6), (5, 5)])
def test_nobody_can_expect_to_win_while_nothing_is_wrong(profile: Profile, n_c: int, n_b: int) -> None:
    """The mean over everything that can happen in two blocks, bad events falling on either arm alike, is at most 1."""
    total = 0.0
    for bads in product(range(n_c + n_b + 1), repeat=2):
        for seen in product(*(range(max(0, bad - n_b), min(bad, n_c) + 1) for bad in bads)):
            chance = 1.0
            for bad, x in zip(bads, seen, strict=True):
                chance *= comb(n_c, x) * comb(n_b, bad - x) / comb(n_c + n_b, bad) / (n_c + n_b + 1)
            total += chance * owned(profile, [(n_c, x, n_b, bad - x) for bad, x in zip(bads, seen, strict=True)])
    assert total <= 1 + 1e-9


@given(stream=blocks)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("profile", EVERY)
def test_any_stream_gives_a_number(profile: Profile, stream: list[Block]) -> None:
    """Silent arms, no bad event at all, nothing but bad events."""
    assert 0 <= owned(profile, stream) < 1e16


@given(stream=blocks)
@settings(max_examples=40, deadline=None)
def test_a_block_that_tells_nothing_changes_nothing(stream: list[Block]) -> None:
    """But the schedule of what is invested later, which goes by the number of blocks alone."""
    before, silent = Wealth.start(SWIFT), Counts.of(0, 0, 100, 3)
    for number, block in enumerate(stream):
        before = before.add(Counts.of(*block), number // 4)
    if before.blocks == SWIFT.goal_at:
        return
    assert float(before.add(silent, 99).owned) == pytest.approx(float(before.owned), rel=1e-12)


def test_many_streams_at_once_are_each_alone() -> None:
    """A batch has one row a stream, and no row knows of another."""
    draw = np.random.default_rng(5)
    n = draw.integers(0, 300, (40, 25)).astype(float)
    other = draw.integers(0, 3000, (40, 25)).astype(float)
    bad, other_bad = np.floor(n * draw.random((40, 25)) * 0.1), np.floor(other * draw.random((40, 25)) * 0.02)
    for profile in EVERY:
        batch = Wealth.start(profile, 1.0, (25,))
        for t in range(40):
            batch = batch.add(Counts(n[t], bad[t], other[t], other_bad[t]), t // 4, 40 - t)
        alone = [
            owned(profile, [(n[t, i], bad[t, i], other[t, i], other_bad[t, i]) for t in range(40)]) for i in range(25)
        ]
        assert batch.owned.tolist() == pytest.approx(alone, rel=1e-12)


def streams(ratio: float, runs: int, blocks: int = 120, rps: float = 100.0, rate: float = 0.002) -> list[Counts]:
    draw = np.random.default_rng(11)
    found = []
    for _ in range(blocks):
        n, other = (draw.poisson(rps * 15 * share, runs) for share in (0.1, 0.9))
        bad, other_bad = draw.binomial(n, rate * ratio), draw.binomial(other, rate)
        found.append(Counts.of(n, bad, other, other_bad))
    return found


def first_reached(profile: Profile, counts: Sequence[Counts], needed: float) -> np.ndarray:
    """Blocks until the evidence is there; inf for never."""
    runs = counts[0].n.shape
    wealth, reached = Wealth.start(profile, 1.0, runs), np.full(runs, np.inf)
    for number, block in enumerate(counts):
        wealth = wealth.add(block, number // 4, len(counts) - number)
        reached = np.where(np.isinf(reached) & (wealth.owned >= needed), number + 1, reached)
    return reached


def test_five_times_the_errors_are_seen_within_minutes_and_none_where_there_are_none() -> None:
    """100 requests a second, 0.2 % bad, one pod of ten."""
    for profile, at_most in ((STEADY, 16), (SWIFT, 9), (INDEPENDENT, 8)):
        assert np.median(first_reached(profile, streams(5.0, 300), 100.0)) <= at_most
        assert np.isfinite(first_reached(profile, streams(1.0, 1000), 100.0)).mean() < 0.015


def test_no_two_minutes_alone_decide_by_steady() -> None:
    """However many bad events they have: a burst on one pod is no regression."""
    wealth, owned_then = Wealth.start(STEADY), []
    for minute in range(3):
        for _ in range(4):
            wealth = wealth.add(Counts.of(150, 150, 1350, 3), minute)
        owned_then.append(float(wealth.owned))
    assert owned_then[1] < 100 <= owned_then[2]


def test_the_green_side_is_shown_to_a_healthy_canary_and_not_to_one_that_is_twice_as_bad() -> None:
    """Limit ×2: shown within half an hour to most, and by mistake to at most 5 % of those at the limit."""
    for true, low, high in ((1.0, 0.9, 1.0), (2.0, 0.0, 0.05)):
        ratio, shown = Ratio.start(STEADY, 1.0, 2.0, (400,)), np.zeros(400, dtype=bool)
        for number, block in enumerate(streams(true, 400)):
            ratio = ratio.add(block, number // 4)
            shown |= ratio.fine >= 20
        assert low <= shown.mean() <= high


def test_the_interval_holds_the_truth_and_narrows() -> None:
    """Looked at after every block, 40 streams that are three times as bad."""
    missed, widths = 0, []
    for run in range(40):
        draw, band = np.random.default_rng(run), Band.start(STEADY)
        out = False
        for number in range(60):
            n, other = draw.poisson(1500), draw.poisson(13_500)
            band = band.add(Counts.of(n, draw.binomial(n, 0.006), other, draw.binomial(other, 0.002)), number // 4)
            low, high = band.interval
            out = out or not low <= 3.0 <= (high or 99.0)
        missed, widths = missed + out, [*widths, band.interval]
    assert missed <= 2
    assert np.median([low for low, _ in widths]) >= 1.5
    assert np.median([high or 99.0 for _, high in widths]) <= 6.5


def test_what_could_have_been_seen_falls_with_time() -> None:
    """Nothing at first, then small harms too; and it is the same whenever it is computed."""

    def after(count: int) -> float | None:
        foreseen = Foreseen.start(STEADY, 1.0, 100.0)
        for number in range(count):
            foreseen = foreseen.add(Counts.of(150, 0, 1350, 3), number // 4)
        return foreseen.smallest

    early, later = after(20), after(100)
    assert after(1) is None
    assert early is not None
    assert later is not None
    assert 1.5 < later < early
    assert after(100) == later


@pytest.mark.parametrize("odds", [0.0, -1.0, float("nan"), float("inf")])
def test_odds_that_are_none_are_refused(odds: float) -> None:
    with pytest.raises(ValueError, match="odds ratios"):
        Ratio.start(STEADY, odds)
