"""Latency cells: the histograms are the log-normal's, and a slower canary is told by its edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.judge.cell import Latency
from bench.judge.latency import Histograms, histograms, p95, slower
from bench.judge.scrapes import SLOTS


def cell(**fields: Any) -> Latency:
    return Latency.model_validate({"kind": "latency", "rps": 100, **fields})


def seen(asked: Latency, runs: int = 40) -> Histograms:
    return histograms(asked, np.random.default_rng(8), runs)


@pytest.mark.parametrize("buckets", ["default", "aligned", "fine"])
def test_a_slower_canary_moves_its_quantile(buckets: str) -> None:
    """By as much as asked for, read at the edges around it."""
    found = seen(cell(slower=0.2, buckets=buckets))
    for counts, value in ((found.baseline, 0.19), (found.canary, 0.19 * 1.2)):
        shares = counts.sum((0, 1)) / counts[..., -1].sum()
        below, above = (
            shares[[edge < value for edge in found.edges]].max(),
            shares[np.array(found.edges) >= value].min(),
        )
        assert below < 0.95 <= above
    assert found.canary[..., -1].mean() == pytest.approx(150, rel=0.02)
    assert (np.diff(found.canary, axis=-1) >= 0).mean() > 0.999


def test_what_is_served_slowly_is_counted_to_the_baselines_quantile() -> None:
    """5 % of a canary that is as fast."""
    assert seen(cell()).served[:, -1].mean() == pytest.approx(0.05 * 10 * 1800, rel=0.02)


def test_a_slower_canary_is_found_and_a_healthy_one_kept() -> None:
    """The comparison tells them apart; a threshold on p95 rolls back both."""
    healthy, slow = cell(), cell(slower=0.5)
    assert not np.isfinite(slower(healthy, seen(healthy)).rollback).any()
    assert np.isfinite(slower(slow, seen(slow)).rollback).all()
    assert np.isfinite(p95(healthy, seen(healthy)).rollback).mean() > 0.9


def test_20_percent_slower_is_allowed_where_the_rule_says_so() -> None:
    """Within the margin nothing is found; far beyond it everything."""
    within, beyond = cell(slower=0.2, by=0.2), cell(slower=0.5, by=0.2)
    assert np.isfinite(slower(within, seen(within)).rollback).mean() <= 0.05
    assert np.isfinite(slower(beyond, seen(beyond)).rollback).mean() >= 0.95


def test_the_blocks_that_the_edges_are_learnt_from_are_no_evidence() -> None:
    """A canary that fails from the start is found only after 500 observations of the baseline."""
    empty = np.zeros((1, SLOTS, 2))
    baseline, canary = empty.copy(), empty.copy()
    baseline[..., 1], baseline[..., 0], canary[..., 1] = 100.0, 90.0, 100.0
    found = slower(cell(), Histograms((0.2, np.inf), canary, baseline, empty[..., 0]))
    assert found.rollback[0] > 5 * 15
    starved = slower(cell(), Histograms((0.2, np.inf), canary, baseline / 1000, empty[..., 0]))
    assert starved.rollback[0] == np.inf


def test_the_quantile_is_prometheuss() -> None:
    """Linear inside the bucket: 19 of 20 fall 95 % of the way into it; above the last edge it is that edge."""
    counts = np.zeros((1, SLOTS, 3))
    counts[..., :] = (0.0, 20.0, 20.0)
    above = np.zeros((1, SLOTS, 3))
    above[..., 2] = 20.0
    upper = (0.1, 0.2, np.inf)
    decided = p95(cell(by=0.02), Histograms(upper, above, counts, counts[..., 0]))
    assert decided.rollback[0] == 240
    assert p95(cell(by=0.03), Histograms(upper, above, counts, counts[..., 0])).rollback[0] == np.inf
