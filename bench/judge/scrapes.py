"""From rates to what a judge is given: raw counters of each pod, scraped, and their increments.

A scrape comes every 15 s, ± 1 s, each pod at a moment of its own; 1 % are missed; in 10 % of the runs one pod restarts
once. A counter that fell has restarted, and what it shows then is the increment, as Prometheus has it. Increments are
summed into slots of 15 s by the scrape's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.judge.cell import Bound, Errors, Latency, Retries
from bench.judge.traffic import FROM, STEP, rates
from canary.judge.odds import Array

Whole: TypeAlias = NDArray[np.integer[Any]]
SLOTS = 120
EVERY, JITTER = 15.0, 1.0
MISSED, RESTARTED = 0.01, 0.10
BEFORE = 3600.0
"""Seconds that the baseline's counters have counted before."""


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Each (runs, SLOTS): requests and bad ones that were scraped, and `served`: the canary's true bad ones so far."""

    n: Array
    bad: Array
    other_n: Array
    other_bad: Array
    served: Array


def scraped(cell: Errors | Bound, draw: Generator, runs: int) -> Slots:
    """What every judge gets of `runs` runs of the cell."""
    canary, _ = cell.arms
    at = moments(draw, (runs, sum(cell.arms)))
    n, bad = _happened(cell, draw, at)
    before = counted_before(cell)
    (ours, theirs), (ours_bad, theirs_bad) = read([n, bad], [before, before * cell.bad], at, canary, draw)
    # A restart can go unnoticed in one counter and not in the other; bad ones are requests all the same.
    seen_bad, other_bad = np.minimum(ours_bad, ours), np.minimum(theirs_bad, theirs)
    return Slots(ours, seen_bad, theirs, other_bad, served(at[:, :canary], bad[:, :canary]))


def counted_before(cell: Errors | Bound | Latency) -> Array:
    """Requests that each pod has counted before the canary began."""
    canary, baseline = cell.arms
    return np.where(np.arange(canary + baseline) < canary, 0.0, cell.rps / (canary + baseline) * BEFORE)


def read(
    counts: Sequence[Array], before: Sequence[Array], at: Array, canary: int, draw: Generator
) -> list[tuple[Array, Array]]:
    """Of each counter, which every pod has: what is seen of it, (runs, SLOTS) for the canary and for the baseline.

    counts: its increments between scrapes, (runs, pods, SLOTS + 1); before: its value at first, (pods,).
    """
    restarts, last = _restarts(draw, at.shape), _last_read(draw, at.shape)
    slot = np.clip(np.floor(at[..., 1:] / EVERY), -1, SLOTS).astype(np.int64)
    return [
        _by_arm(_increments(np.take_along_axis(_raw(start, each, restarts), last, -1)), slot, canary)
        for start, each in zip(before, counts, strict=True)
    ]


def moments(draw: Generator, shape: tuple[int, int]) -> Array:
    """(runs, pods, SLOTS + 2): when each pod is scraped; the first is only there to count from."""
    offset = draw.uniform(0, EVERY, (*shape, 1))
    return offset + EVERY * np.arange(-1, SLOTS + 1) + draw.uniform(-JITTER, JITTER, (*shape, SLOTS + 2))


def _happened(cell: Errors | Bound, draw: Generator, at: Array) -> tuple[Array, Array]:
    """Requests and bad ones of each pod between its scrapes."""
    each = rates(cell, draw, at.shape[0])
    good = _poisson(draw, between(each.requests - each.bad, at))
    bad = np.zeros_like(good)
    sizes = range(1, cell.nature.most + 1) if isinstance(cell.nature, Retries) else (1,)
    for size in sizes:
        bad += size * _poisson(draw, between(each.bad, at) / sum(sizes))
    return good + bad, bad


def _poisson(draw: Generator, amount: Array) -> Array:
    return draw.poisson(amount).astype(np.float64)


def between(rate: Array, at: Array) -> Array:
    """The integral of the rate from each scrape to the next."""
    until = np.concatenate([np.zeros((*rate.shape[:-1], 1)), np.cumsum(rate * STEP, axis=-1)], axis=-1)
    place = (at - FROM) / STEP
    step = place.astype(np.int64)
    low = np.take_along_axis(until, step, -1)
    amount = low + (place - step) * (np.take_along_axis(until, step + 1, -1) - low)
    return np.asarray(np.maximum(np.diff(amount, axis=-1), 0.0))


def served(at: Array, bad: Array) -> Array:
    """By the end of each slot; what falls between two scrapes is spread over them."""
    until = np.concatenate([np.zeros((*bad.shape[:-1], 1)), np.cumsum(bad, axis=-1)], axis=-1)
    ends = np.arange(1.0, SLOTS + 1) * EVERY
    last = _before(at, ends)
    low, high = np.take_along_axis(at, last, -1), np.take_along_axis(at, last + 1, -1)
    first, second = np.take_along_axis(until, last, -1), np.take_along_axis(until, last + 1, -1)
    return np.asarray((first + (ends - low) / (high - low) * (second - first)).sum(1))


def _before(at: Array, ends: Array) -> Whole:
    """The number of the last scrape at or before each end."""
    guess = np.broadcast_to(np.arange(1, SLOTS + 1), (*at.shape[:-1], SLOTS))
    late = np.take_along_axis(at, guess, -1) > ends
    early = np.take_along_axis(at, np.minimum(guess + 1, SLOTS), -1) <= ends
    return np.asarray(np.minimum(guess - late + (early & ~late), SLOTS))


@dataclass(frozen=True, slots=True, eq=False)
class _Restarts:
    """In which runs which pod restarts, between which scrapes, and after which part of what it counts there."""

    run: Whole
    pod: Whole
    scrape: Whole
    part: Array


def _restarts(draw: Generator, shape: tuple[int, ...]) -> _Restarts:
    runs, pods, scrapes = shape
    which = np.flatnonzero(draw.random(runs) < RESTARTED)
    pod, scrape = draw.integers(0, pods, which.size), draw.integers(1, scrapes, which.size)
    return _Restarts(which, pod, scrape, draw.random(which.size))


def _raw(before: Array, counts: Array, restarts: _Restarts) -> Array:
    """(runs, pods, SLOTS + 2): what the pods show; a restarted one counts from 0."""
    first = np.broadcast_to(np.floor(before)[:, None], (*counts.shape[:-1], 1))
    shown = np.cumsum(np.concatenate([first, counts], axis=-1), axis=-1)
    at = restarts.run, restarts.pod
    lost = shown[*at, restarts.scrape - 1] + np.floor(restarts.part * counts[*at, restarts.scrape - 1])
    after = np.arange(shown.shape[-1]) >= restarts.scrape[:, None]
    shown[at] -= np.where(after, lost[:, None], 0.0)
    return shown


def _last_read(draw: Generator, shape: tuple[int, ...]) -> Whole:
    """The number of the last scrape that was not missed, as of each."""
    read = np.where(draw.random(shape) < MISSED, 0, np.arange(shape[-1]))
    return np.asarray(np.maximum.accumulate(read, axis=-1))


def _increments(read: Array) -> Array:
    change = np.diff(read, axis=-1)
    return np.where(change < 0, read[..., 1:], change)


def _by_arm(increments: Array, slot: Whole, canary: int) -> tuple[Array, Array]:
    """Summed over pods into slots; what lies outside the canary's time is dropped."""
    return _summed(increments[:, :canary], slot[:, :canary]), _summed(increments[:, canary:], slot[:, canary:])


def _summed(increments: Array, slot: Whole) -> Array:
    runs = len(increments)
    where = np.arange(runs)[:, None, None] * (SLOTS + 2) + slot + 1
    sums = np.bincount(where.ravel(), increments.ravel(), runs * (SLOTS + 2))
    return np.asarray(sums.reshape(runs, SLOTS + 2)[:, 1:-1], dtype=np.float64)
