"""When a rule that is taken at its word would have fired, over thousands of windows at once.

The literal judge sees everything that the phase has counted so far, and it looks after every block.
"""

from __future__ import annotations

import numpy as np

from canary.judge.backtest.history import Flags
from canary.judge.backtest.paths import whole
from canary.judge.backtest.windows import Batch
from canary.judge.block import Tally
from canary.judge.buckets import edges_around
from canary.judge.comparison import P95
from canary.judge.comparison import floor_of as floor_of_quantile
from canary.judge.limits import exact, floor_of
from canary.judge.odds import Array
from canary.plan.model import (
    AnySeen,
    NoneSeen,
    OfBaseline,
    QuantileAbove,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
)

FIRES = (RateAbove, QuantileAbove, RatioBelow)
"""Triggers, which fire beyond their limit; a criterion is broken at its limit already."""


def fired(rule: Rule, batch: Batch, before: int) -> Flags:
    """Whether it has fired by the end of each block, (blocks, rows); the first `before` are an earlier phase's."""
    counts = np.cumsum(batch.counts[rule.measure][:, :, before:], axis=2)
    match rule:
        case NoneSeen() | AnySeen():
            now = counts[1, 0] > 0
        case RateBelow() | RateAbove():
            now = _beyond(rule, counts[0, 0], counts[1, 0], rule.limit)
        case QuantileBelow() | QuantileAbove() | RatioAbove() | RatioBelow():
            now = _at_limit(rule, counts[:, 0], batch.edges[rule.measure])
        case OfBaseline():
            now = _slower(rule, counts, batch.edges[rule.measure])
    whole_time = np.concatenate([np.zeros((before, batch.rows), dtype=np.bool_), np.asarray(now)])
    return np.asarray(np.logical_or.accumulate(whole_time, axis=0))


def _beyond(rule: Rule, total: Array, bad: Array, limit: float) -> Flags:
    """As `limits.held`: no number of good requests up to the floor could make up for it."""
    allowed = exact(limit)
    held_to = np.maximum(total, floor_of(allowed)) * allowed.numerator
    found = bad * allowed.denominator
    broken = found > held_to if isinstance(rule, FIRES) else found >= held_to
    return np.asarray(broken & ((total > 0) | (bad > 0)))


def _at_limit(
    rule: QuantileBelow | QuantileAbove | RatioAbove | RatioBelow, counts: Array, known: tuple[float, ...]
) -> Flags:
    total, under = whole(counts)
    below, above = edges_around(Tally(0.0, buckets=dict.fromkeys(known, 0.0)), rule.limit)
    low = isinstance(rule, RatioAbove | RatioBelow)
    edge = below if low else above
    if edge is None:
        return np.zeros(total.shape, dtype=np.bool_)
    at = under[known.index(edge)]
    return _beyond(rule, total, at if low else total - at, float(_share(rule, low)))


def _share(rule: QuantileBelow | QuantileAbove | RatioAbove | RatioBelow, low: bool) -> float:
    return float(exact(rule.quantile) if low else 1 - exact(rule.quantile))


def _slower(rule: OfBaseline, counts: Array, known: tuple[float, ...]) -> Flags:
    """As `comparison.slower`; without buckets there is nothing that it could compare."""
    quantile = rule.quantile or P95
    if not known:
        return np.zeros(counts.shape[2:], dtype=np.bool_)
    (n, under), (other_n, other_under) = (whole(counts[:, arm]) for arm in (0, 1))
    enough = (n >= floor_of_quantile(quantile)) & (other_n >= floor_of_quantile(quantile))
    ours = _quantile(n, under, quantile, np.array(known))
    theirs = _quantile(other_n, other_under, quantile, np.array(known))
    return np.asarray(enough & (ours > (1 + rule.by) * theirs))


def _quantile(total: Array, under: Array, quantile: float, known: Array) -> Array:
    """As `buckets.quantile_of`: linear inside its bucket; the last edge where it lies above that (no canary is slower
    than a baseline that lies there)."""
    rank = quantile * total
    reached = under >= rank
    place = reached.argmax(0)
    high = np.take_along_axis(under, place[None], axis=0)[0]
    low = np.where(place > 0, np.take_along_axis(under, np.maximum(place - 1, 0)[None], axis=0)[0], 0.0)
    begin, end = np.where(place > 0, known[np.maximum(place - 1, 0)], 0.0), known[place]
    value = begin + (end - begin) * (rank - low) / np.where(high > low, high - low, 1.0)
    return np.asarray(np.where(reached[-1], value, known[-1]))
