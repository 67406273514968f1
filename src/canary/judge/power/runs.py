"""Many imagined phases at once, judged by the real judge: Monte Carlo over the streams that `canary.judge` takes.

A canary at several factors meets the same baseline and the same traffic. Seeds are given, so that the same question
has the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from canary.judge.bound import Bound
from canary.judge.odds import Array
from canary.judge.power.cell import Cell, Limits, Ratios
from canary.judge.profiles import FINE
from canary.judge.terms import BLOCK, MINUTE
from canary.judge.wealth import Counts, Wealth

PER_MINUTE = int(MINUTE // BLOCK)
LOOKS = 120
"""Looks at least that a phase is given; half an hour has as many blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One block of all streams: requests (…), bad ones (…, edges); `left` as in `Moment`."""

    n: Array
    bad: Array
    other_n: Array
    other_bad: Array
    minute: int
    left: float


class Gain(Protocol):
    """One side's evidence in many streams."""

    def add(self, drawn: Drawn) -> Gain: ...

    @property
    def evidence(self) -> Array: ...


@dataclass(frozen=True, slots=True, eq=False)
class OfRatio:
    """The evidence of a comparison: the mean over its edges. swapped: the other side's, that it is kept."""

    wealth: Wealth
    swapped: bool

    def add(self, drawn: Drawn) -> OfRatio:
        shape = drawn.bad.shape
        n, other_n = (np.broadcast_to(each[..., None], shape) for each in (drawn.n, drawn.other_n))
        counts = Counts(n, drawn.bad, other_n, np.broadcast_to(drawn.other_bad, shape))
        wealth = self.wealth.add(counts.swapped if self.swapped else counts, drawn.minute, drawn.left)
        return replace(self, wealth=wealth)

    @property
    def evidence(self) -> Array:
        return np.asarray(self.wealth.owned.mean(-1))


@dataclass(frozen=True, slots=True, eq=False)
class OfBound:
    """The evidence of a limit, from one side."""

    bound: Bound
    fine: bool

    def add(self, drawn: Drawn) -> OfBound:
        n = np.broadcast_to(drawn.n, drawn.bad.shape[:-1])
        return replace(self, bound=self.bound.add(n, drawn.bad[..., 1], drawn.bad[..., 0]))

    @property
    def evidence(self) -> Array:
        return self.bound.fine if self.fine else self.bound.harm


def harm(cell: Cell, shape: tuple[int, ...]) -> Gain:
    """Evidence that the rule is broken, before the first block."""
    return _gain(cell, shape, fine=False)


def fine(cell: Cell, shape: tuple[int, ...]) -> Gain:
    """Evidence that it is kept."""
    return _gain(cell, shape, fine=True)


def _gain(cell: Cell, shape: tuple[int, ...], fine: bool) -> Gain:
    if isinstance(cell.form, Limits):
        return OfBound(Bound.start(cell.form.limit, cell.form.cluster, shape), fine)
    odds = np.array(cell.form.odds)
    shape = (*shape, len(odds))
    if fine:
        return OfRatio(Wealth.start(FINE, 1 / odds, shape), True)
    return OfRatio(Wealth.start(cell.form.profile, odds * (1 + cell.form.margin), shape), False)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """One row a factor, one column a stream.

    first: seconds of plan time since the phase began until the evidence reached what was needed; inf: never.
    bad: bad requests that the canary served until then, or in all. holds: factor × block: the share of streams
    whose evidence was there at the end of that block; blocks that were skipped, or not looked at, hold 0.
    """

    first: Array
    bad: Array
    holds: Array

    @property
    def reached(self) -> Array:
        """The share of streams, a factor."""
        return np.asarray(np.isfinite(self.first).mean(-1))


def run(cell: Cell, start: Gain, needed: float, factors: Array, streams: int, blocks: int, seed: int) -> Runs:
    """`blocks` blocks of a phase. start: for streams of the shape (factors, streams)."""
    rng = np.random.default_rng(seed)
    rows = np.array([cell.shares(float(factor)) for factor in factors])
    first, bad = np.full((len(factors), streams), np.inf), np.zeros((len(factors), streams))
    holds, gain, every = np.zeros((len(factors), blocks)), start, _every(start, blocks)
    for block in range(cell.skipped, blocks):
        drawn = _drawn(cell, rows, streams, block, blocks, rng)
        gain = gain.add(drawn)
        bad += np.where(np.isinf(first), drawn.bad[..., cell.counted], 0.0)
        if block % every and block != blocks - 1:
            continue
        there = gain.evidence >= needed
        first = np.where(there & np.isinf(first), (block + 1) * BLOCK, first)
        holds[:, block] = there.mean(-1)
    return Runs(first, bad, holds)


def _every(start: Gain, blocks: int) -> int:
    """Blocks between two looks: the harm of a limit takes the longer, the longer the phase is."""
    return max(blocks // LOOKS, 1) if isinstance(start, OfBound) and not start.fine else 1


def _drawn(cell: Cell, rows: Array, streams: int, block: int, blocks: int, rng: np.random.Generator) -> Drawn:
    n, other_n = (rng.poisson(mean, streams) for mean in (cell.canary, cell.baseline))
    other = cell.healthy if isinstance(cell.form, Ratios) else (0.0,) * rows.shape[1]
    other_bad = _nested(rng, other_n, np.array([other]))[0]
    bad = _nested(rng, n, rows)
    return Drawn(
        n.astype(np.float64), bad, other_n.astype(np.float64), other_bad, block // PER_MINUTE, float(blocks - block)
    )


def _nested(rng: np.random.Generator, n: np.ndarray[tuple[int, ...], np.dtype[np.int64]], rows: Array) -> Array:
    """Rows of not rising shares → (rows, streams, shares) counts, each a part of the one before."""
    found = np.broadcast_to(n, (len(rows), *n.shape))
    counts, before = [], np.ones(len(rows))
    for column in rows.T:
        part = np.clip(np.divide(column, before, out=np.zeros_like(before), where=before > 0), 0.0, 1.0)
        found = rng.binomial(found, part[:, None])
        counts.append(found.astype(np.float64))
        before = column
    return np.stack(counts, axis=-1)
