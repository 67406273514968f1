"""Latency cells: the histogram of each pod, scraped as every counter is, and who judges it.

slower: the project's comparison, at the edges that the baseline's first observations choose. They are not bet on.
p95: a sample a minute fails when the canary's interpolated p95 is above (1 + by) × the baseline's; four fail it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.random import Generator

from bench.judge.cell import BUCKETS, Latency
from bench.judge.decisions import A_MINUTE, Decisions, first, unless
from bench.judge.ours import ALPHA, BETA
from bench.judge.rivals import ARGO_FAILURES
from bench.judge.scrapes import SLOTS, between, counted_before, moments, read, served
from bench.judge.traffic import requests
from canary.judge.block import Tally
from canary.judge.edges import LEARNT_FROM, NEAR, edges
from canary.judge.odds import Array
from canary.judge.profiles import STEADY
from canary.judge.ratio import Ratio
from canary.judge.wealth import Counts

QUANTILE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Cumulative counts of both arms up to each of `edges`, the last of which is infinite: (runs, SLOTS, edges).

    served: (runs, SLOTS), requests of the canary so far that took longer than the baseline's p95.
    """

    edges: tuple[float, ...]
    canary: Array
    baseline: Array
    served: Array


def histograms(cell: Latency, draw: Generator, runs: int) -> Histograms:
    """What every judge gets of `runs` runs of the cell."""
    canary, baseline = cell.arms
    upper = (*BUCKETS[cell.buckets], np.inf)
    at = moments(draw, (runs, canary + baseline))
    amount = between(requests(cell), at)
    ours, theirs = _below(cell, upper, 1 + cell.slower), _below(cell, upper, 1.0)
    shares = np.concatenate([np.tile(ours, (canary, 1)), np.tile(theirs, (baseline, 1))])
    parts = np.diff(shares, prepend=0.0)[..., None]
    counts = list(np.cumsum([draw.poisson(amount * parts[:, each]) for each in range(len(upper))], axis=0))
    before = counted_before(cell)
    seen = read(counts, [before * below for below in theirs], at, canary, draw)
    late = 1 - _below(cell, (cell.p95,), 1 + cell.slower)[0]
    ours_seen, theirs_seen = (np.stack([each[arm] for each in seen], axis=-1) for arm in (0, 1))
    return Histograms(upper, ours_seen, theirs_seen, late * served(at[:, :canary], counts[-1][:, :canary]))


def _below(cell: Latency, upper: tuple[float, ...], times: float) -> Array:
    """The share of requests up to each edge, of a log-normal whose p95 is `times` the cell's."""
    normal = NormalDist()
    middle = np.log(cell.p95 * times) - normal.inv_cdf(QUANTILE) * cell.sigma
    return np.array([normal.cdf((np.log(edge) - middle) / cell.sigma) for edge in upper])


def slower(cell: Latency, seen: Histograms) -> Decisions:
    """steady at up to three edges, their evidence averaged; nothing until the edges are learnt."""
    learnt, odds, chosen = _learnt(cell, seen)
    told = ~np.isnan(odds)
    limit = np.where(told, odds, 1.0)
    state = Ratio.start(STEADY, limit, limit, odds.shape)
    harm, fine = np.zeros(seen.served.shape), np.zeros(seen.served.shape)
    for at in range(SLOTS):
        ours, theirs = (np.take_along_axis(each[:, at], chosen, -1) for each in (seen.canary, seen.baseline))
        bets = told & (at > learnt)[:, None]
        n, other = (np.where(bets, each[:, at, -1:], 0.0) for each in (seen.canary, seen.baseline))
        counts = Counts(n, np.clip(n - ours, 0, n), other, np.clip(other - theirs, 0, other))
        state = state.add(counts, at // A_MINUTE)
        for owned, side in ((harm, state.harm), (fine, state.fine)):
            owned[:, at] = np.where(told, side, 0.0).sum(-1) / np.maximum(told.sum(-1), 1)
    return Decisions(first(harm >= 1 / ALPHA), first(fine >= 1 / BETA))


def _learnt(cell: Latency, seen: Histograms) -> tuple[Array, Array, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Of each run: the last slot that was learnt from; at each of its edges the allowed odds, NaN for none; which."""
    so_far = np.cumsum(seen.baseline, axis=1)
    learnt = (so_far[..., -1] < LEARNT_FROM).sum(-1)
    odds = np.full((len(learnt), len(NEAR)), np.nan)
    chosen = np.zeros(odds.shape, dtype=np.int64)
    for run, last in enumerate(learnt):
        if last < SLOTS:
            counted = so_far[run, last]
            tally = Tally(counted[-1], 0.0, dict(zip(seen.edges[:-1], counted[:-1], strict=True)))
            for place, edge in enumerate(edges(tally, cell.by)):
                odds[run, place], chosen[run, place] = edge.odds, seen.edges.index(edge.seconds)
    return learnt, odds, chosen


def p95(cell: Latency, seen: Histograms) -> Decisions:
    """A threshold on the interpolated quantile; a minute without requests fails nothing."""
    ours, theirs = (_quantile(seen.edges, _minutes(each)) for each in (seen.canary, seen.baseline))
    rollback = first(np.cumsum(ours > (1 + cell.by) * theirs, axis=-1) > ARGO_FAILURES, A_MINUTE)
    return Decisions(rollback, unless(rollback))


def _minutes(each: Array) -> Array:
    return np.asarray(each.reshape(each.shape[0], -1, A_MINUTE, each.shape[-1]).sum(2))


def _quantile(upper: tuple[float, ...], counts: Array) -> Array:
    """As Prometheus has it: linear inside the bucket, the last finite edge above it, NaN without requests."""
    rank = QUANTILE * counts[..., -1:]
    at = np.minimum((counts < rank).sum(-1, keepdims=True), len(upper) - 1)
    lows, highs = np.array([0.0, *upper[:-1]]), np.array([*upper[:-1], upper[-2]])
    below = np.where(at > 0, np.take_along_axis(counts, np.maximum(at - 1, 0), -1), 0.0)
    inside = np.maximum(np.take_along_axis(counts, at, -1) - below, 1e-9)
    value = lows[at] + (highs[at] - lows[at]) * np.clip((rank - below) / inside, 0, 1)
    return np.where(rank > 0, value, np.nan)[..., 0]


LATENCY: dict[str, Callable[[Latency, Histograms], Decisions]] = {"slower": slower, "p95 threshold": p95}
