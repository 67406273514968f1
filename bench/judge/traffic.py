"""What each pod receives and fails, as rates over the time of the canary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.random import Generator

from bench.judge.cell import Bound, Bursts, Diurnal, Errors, Heavy, Incident, Latency, Ramp, Spread, Volatility, WarmUp
from canary.judge.odds import Array

STEP = 5.0
FROM, TO = -20.0, 1820.0
TIMES = np.arange(FROM, TO, STEP)
"""Rates are constant from each of these, in seconds since the canary's first request, for STEP seconds."""
RAMP = (0.01, 0.05, 0.10, 0.25, 0.50)


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Per second: requests and bad ones of them, (runs or 1, pods, TIMES); the canary's pods come first."""

    requests: Array
    bad: Array


def rates(cell: Errors | Bound, draw: Generator, runs: int) -> Rates:
    """The rates of `runs` runs; one for all where nothing is random."""
    all_of_them = requests(cell)
    bad = all_of_them * cell.bad * _harm(cell)
    if isinstance(cell.nature, Heavy):
        return _with_client(cell, cell.nature, Rates(all_of_them, bad), draw, runs)
    return Rates(all_of_them, np.minimum(bad * multiplier(cell.nature, draw, (runs, sum(cell.arms))), all_of_them))


def requests(cell: Errors | Bound | Latency) -> Array:
    """Per second, (1, pods, TIMES); a pod has its part of its arm's."""
    canary, baseline = cell.arms
    share = _share(cell)[None]
    pods = np.concatenate([np.repeat(share / canary, canary, 0), np.repeat((1 - share) / baseline, baseline, 0)])
    return np.asarray((cell.rps * _load(cell) * pods)[None])


def _load(cell: Errors | Bound | Latency) -> Array:
    wave = np.sin(2 * np.pi * TIMES / 1800)
    return 1 + 0.5 * wave if isinstance(cell.nature, Diurnal) else np.ones_like(TIMES)


def _share(cell: Errors | Bound | Latency) -> Array:
    canary, baseline = cell.arms
    share = np.full_like(TIMES, canary / (canary + baseline))
    if isinstance(cell.nature, Ramp):
        share = np.array(RAMP)[np.clip(TIMES // (1800 / len(RAMP)), 0, len(RAMP) - 1).astype(int)]
    return np.where(TIMES < 0, 0.0, share)


def _harm(cell: Errors | Bound) -> Array:
    """(pods, TIMES): the canary's bad share over the baseline's."""
    canary, baseline = cell.arms
    times = np.ones((canary + baseline, len(TIMES)))
    if isinstance(cell, Errors):
        times[:canary, 60 * cell.onset <= TIMES] *= cell.ratio
    if isinstance(cell.nature, WarmUp):
        times[:canary, 60 * cell.nature.minutes > TIMES] *= cell.nature.times
    return times


@singledispatch
def multiplier(nature: object, draw: Generator, shape: tuple[int, int]) -> Array:
    """Of the bad events, mean 1, broadcast to (runs, pods, TIMES)."""
    return np.ones((1, 1, 1))


@multiplier.register
def _(nature: Diurnal, draw: Generator, shape: tuple[int, int]) -> Array:
    return (1 + 0.8 * np.sin(2 * np.pi * TIMES / 1800 + 1))[None, None]


@multiplier.register
def _(nature: Incident, draw: Generator, shape: tuple[int, int]) -> Array:
    return np.where((TIMES >= 480) & (TIMES < 600), nature.times, 1.0)[None, None]


@multiplier.register
def _(nature: Volatility, draw: Generator, shape: tuple[int, int]) -> Array:
    each = draw.gamma(nature.shape, 1 / nature.shape, (shape[0], 1, int((TO - FROM) // 15) + 1))
    return np.asarray(each[..., ((TIMES - FROM) // 15).astype(int)])


@multiplier.register
def _(nature: Bursts, draw: Generator, shape: tuple[int, int]) -> Array:
    each = draw.gamma(nature.shape, 1 / nature.shape, (*shape, int((TO - FROM) // nature.seconds) + 3))
    steps = int(nature.seconds / STEP)
    late = draw.integers(0, steps, (*shape, 1)) if nature.phase == "random" else np.zeros((1, 1, 1), dtype=int)
    at = (np.floor(TIMES / STEP).astype(int) + late) // steps
    return np.take_along_axis(each, at - at.min(), axis=-1)


@multiplier.register
def _(nature: Spread, draw: Generator, shape: tuple[int, int]) -> Array:
    return draw.gamma(nature.cv**-2, nature.cv**2, (*shape, 1))


def _with_client(cell: Errors | Bound, heavy: Heavy, rest: Rates, draw: Generator, runs: int) -> Rates:
    pods = sum(cell.arms)
    here = np.zeros((runs, pods, 1))
    here[np.arange(runs), draw.integers(0, pods, runs)] = 1.0
    client = np.broadcast_to(cell.rps * heavy.share * here, (runs, pods, len(TIMES))).copy()
    client[:, : cell.arms[0], TIMES < 0] = 0.0
    kept = 1 - heavy.share
    bad = kept * rest.bad + client * cell.bad * heavy.times
    every = kept * rest.requests + client
    return Rates(every, np.minimum(bad, every))
