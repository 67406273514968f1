"""The judge's own trials, folded over thousands of windows at once: one row a window, one step a block.

What `LimitTrial` and `BaselineTrial` do block by block with one rollout, this does with columns; the evidence is that
of the same `Bound` and `Wealth`. A trial passes over blocks that hold nothing of its measure, and counts those it has
folded: so each row's blocks are first moved together ("packed"), folded, and put back to their times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canary.judge.backtest.history import Flags
from canary.judge.backtest.windows import Batch, Whole
from canary.judge.baseline_trial import PROFILES
from canary.judge.block import Tally
from canary.judge.bound import Bound
from canary.judge.buckets import edges_around
from canary.judge.edges import LEARNT_BLOCKS, LEARNT_FROM, NEAR, Edge, edges
from canary.judge.limits_trial import Limited, allowed
from canary.judge.odds import Array
from canary.judge.profiles import STEADY
from canary.judge.terms import BLOCK, Terms
from canary.judge.wealth import Counts, Wealth
from canary.plan.model import OfBaseline, RateAbove, RateBelow, RatioAbove, RatioBelow

FIRST_EDGE = 2
"""Of a measure's columns: total and bad come first."""


@dataclass(frozen=True, slots=True)
class Span:
    """Of a judged phase, in blocks: those of earlier phases with users, which its judge folds too, and its own."""

    before: int
    own: int

    @property
    def blocks(self) -> int:
        return self.before + self.own


def live(batch: Batch, terms: Terms, span: Span) -> Flags:
    """The blocks that are evidence: something was scraped, and no warm-up was under way."""
    if terms.settle is None:
        return batch.present
    number = np.arange(span.blocks)[:, None]
    first = np.where(batch.present & (number >= span.before), number, span.blocks).min(0)
    warm = (number >= span.before) & ((number - first + 1) * BLOCK <= terms.settle.seconds)
    return np.asarray(batch.present & ~warm)


def limit_path(rule: Limited, batch: Batch, usable: Flags) -> Array:
    """Evidence that the limit is broken after each block, (blocks, rows)."""
    n, surely = _split(rule, batch)
    packed = Packed.of(usable & (n > 0))
    n, surely = packed.take(n), packed.take(surely)
    bound, path = Bound.start(allowed(rule), rule.how.cluster, (batch.rows,)), np.empty_like(n)
    for number in range(len(n)):
        bound = bound.add(n[number], surely[number])
        path[number] = bound.harm
    return packed.put_back(path)


def _split(rule: Limited, batch: Batch) -> tuple[Array, Array]:
    """Requests of the canary and those that are surely bad: none where no edge could tell."""
    counts = batch.counts[rule.measure][:, 0]
    if isinstance(rule, RateBelow | RateAbove):
        return counts[0], np.minimum(counts[1], counts[0])
    total, under = whole(counts)
    known = batch.edges[rule.measure]
    below, above = edges_around(Tally(0.0, buckets=dict.fromkeys(known, 0.0)), rule.limit)
    low = isinstance(rule, RatioAbove | RatioBelow)
    edge = below if low else above
    if edge is None:
        return total, np.zeros(total.shape)
    at = under[known.index(edge)]
    return total, at if low else np.maximum(total - at, 0.0)


def whole(counts: Array) -> tuple[Array, Array]:
    """(total, at or below each edge) with counts that fit together, as `buckets.whole` makes them."""
    under = np.maximum.accumulate(counts[FIRST_EDGE:], axis=0)
    return (np.maximum(counts[0], under[-1]) if len(under) else counts[0]), under


def baseline_path(rule: OfBaseline, batch: Batch, usable: Flags, terms: Terms, span: Span) -> Array:
    """Evidence that the canary is worse than the others by more than the rule allows, after each block."""
    counts = batch.counts[rule.measure]
    if batch.edges[rule.measure]:
        return _latency_path(rule, batch, usable, terms, span)
    begun = np.logical_or.accumulate(usable & (counts[0, 1] > 0), axis=0)
    four = (counts[0, 0], np.minimum(counts[1, 0], counts[0, 0]), counts[0, 1], np.minimum(counts[1, 1], counts[0, 1]))
    odds = np.full(batch.rows, 1 + rule.by)
    return _wealth_path(rule, odds, four, usable & begun, Times.of(batch, terms, span))


def _latency_path(rule: OfBaseline, batch: Batch, usable: Flags, terms: Terms, span: Span) -> Array:
    """The mean over the edges that each row's own baseline has chosen; one stream a row and edge."""
    counts = batch.counts[rule.measure]
    rows, places, odds, since = _chosen(rule, counts[:, 1], usable, batch.edges[rule.measure])
    if not len(rows):
        return np.ones(usable.shape)
    (n, under), (other_n, other_under) = whole(counts[:, 0]), whole(counts[:, 1])
    block = np.arange(len(usable))[:, None]
    above, other_above = n[:, rows] - under[places, block, rows], other_n[:, rows] - other_under[places, block, rows]
    four = (n[:, rows], np.maximum(above, 0.0), other_n[:, rows], np.maximum(other_above, 0.0))
    times = Times.of(batch, terms, span).of_rows(rows)
    streams = _wealth_path(rule, odds, four, usable[:, rows] & (block > since), times)
    path = np.ones(usable.shape)
    able, begin, number = np.unique(rows, return_index=True, return_counts=True)
    path[:, able] = np.add.reduceat(streams, begin, axis=1) / number
    return path


def _chosen(
    rule: OfBaseline, baseline: Array, usable: Flags, known: tuple[float, ...]
) -> tuple[Whole, Whole, Array, Whole]:
    """One entry a stream: its row, the place of its edge, the odds that the rule allows there, and the block after
    which it is compared."""
    learnt = np.cumsum(np.where(usable, baseline, 0.0), axis=1)
    near = NEAR if rule.quantile is None else (rule.quantile,)
    enough = (learnt[0] >= LEARNT_FROM) & (np.cumsum(usable, axis=0) >= LEARNT_BLOCKS)
    found: list[tuple[int, int, float, int]] = []
    for row in range(usable.shape[1]):
        for block in np.flatnonzero(usable[:, row] & enough[:, row]):
            if chosen := _edges_of(learnt[:, block, row], known, rule.by, near):
                found += [(row, known.index(edge.seconds), edge.odds, int(block)) for edge in chosen]
                break
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    rows, places, odds, since = (np.array(column) for column in columns)
    return rows.astype(np.int64), places.astype(np.int64), odds.astype(np.float64), since.astype(np.int64)


def _edges_of(learnt: Array, known: tuple[float, ...], by: float, near: tuple[float, ...]) -> tuple[Edge, ...]:
    total, _, *under = learnt.tolist()
    return edges(Tally(total, buckets=dict(zip(known, under, strict=True))), by, near)


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """minutes: the clock minute of each block; left: blocks until the deadline, (blocks, rows) both."""

    minutes: Whole
    left: Array

    @classmethod
    def of(cls, batch: Batch, terms: Terms, span: Span) -> Times:
        numbers = np.cumsum(batch.present, axis=0) - 1
        own = np.where(
            np.arange(span.blocks)[:, None] < span.before, numbers, numbers - batch.present[: span.before].sum(0)
        )
        return cls(batch.minutes, np.maximum(terms.horizon - own, 0).astype(np.float64))

    def of_rows(self, rows: Whole) -> Times:
        return Times(self.minutes[:, rows], self.left[:, rows])


def _wealth_path(
    rule: OfBaseline, odds: Array, four: tuple[Array, Array, Array, Array], used: Flags, times: Times
) -> Array:
    packed = Packed.of(used)
    n, bad, other_n, other_bad = (packed.take(each) for each in four)
    minutes, left = packed.take(times.minutes), packed.take(times.left)
    profile = PROFILES.get(rule.how.profile, STEADY)
    wealth, path = Wealth.start(profile, odds * (1 + rule.how.margin), odds.shape), np.empty_like(n)
    for block in range(len(n)):
        counts = Counts(n[block], bad[block], other_n[block], other_bad[block])
        wealth = wealth.add(counts, minutes[block], left[block])
        path[block] = wealth.owned
    return packed.put_back(path)


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Each row's used blocks moved to the front. order: None when all are used, and nothing needs to move."""

    used: Flags
    order: Whole | None

    @classmethod
    def of(cls, used: Flags) -> Packed:
        return cls(used, None if used.all() else np.argsort(~used, axis=0, kind="stable"))

    def take(self, values: np.ndarray) -> np.ndarray:
        """The used ones; behind them zeros, which tell a trial nothing."""
        if self.order is None:
            return values
        return np.where(np.sort(~self.used, axis=0), 0, np.take_along_axis(values, self.order, axis=0))

    def put_back(self, path: Array) -> Array:
        """At each block, what the path had after the row's last used one by then; 1 before the first."""
        if self.order is None:
            return path
        after = np.concatenate([np.ones((1, path.shape[1])), path])
        return np.take_along_axis(after, np.cumsum(self.used, axis=0), axis=0)
