"""The smallest harm that the judge finds in nine of ten runs, by Monte Carlo of the judge itself."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from canary.judge.odds import Array
from canary.judge.power.cell import Cell, Setting
from canary.judge.power.runs import Runs, harm, run

SURE = 0.9
AROUND = (0.75, 0.97)
COARSE, CLOSER, FINEST, TOLD = 100, 200, 1200, 2000
NARROW = 1.001
FEWEST, HOUR = 200, 240
"""Streams that stay of a long phase, and blocks of a phase that is none."""
SEED = 41_201


@dataclass(frozen=True, slots=True)
class Smallest:
    """factor: times as bad, or as slow, as the baseline. power: of finding it within the phase, 0–1, in runs of their
    own. share: of bad requests then. seconds: until the rollback, the median. bad: requests that the canary serves
    badly until then, the mean."""

    factor: float
    power: float
    share: float
    seconds: float
    bad: float


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, or None; curve: (factor, power), rising in the factor."""

    smallest: Smallest | None
    curve: tuple[tuple[float, float], ...]


def search(cell: Cell, setting: Setting, seed: int = SEED) -> Search:
    """From a coarse look to a fine one; what is told is measured in fresh runs."""
    coarse = np.geomspace(1.02, max(cell.most, 1.05), 18)
    powers = _powers(cell, setting, coarse, COARSE, seed)
    points = _points(coarse, powers)
    if powers.max() < SURE:
        return Search(None, points)
    closer, found = coarse, powers
    for zoom in range(1, 5):
        closer = np.geomspace(*_bracket(closer, found), 8)
        found = _powers(cell, setting, closer, CLOSER, seed + zoom)
        points += _points(closer, found)
        if _is_close(found) or closer[-1] < closer[0] * NARROW:
            break
    low, high = (_crossing(closer, found, power) for power in AROUND)
    finest = np.geomspace(low, high, 5)
    factor = float(f"{_fitted(finest, _powers(cell, setting, finest, FINEST, seed + 8)):.4g}")
    return Search(_told(cell, factor, harmed(cell, setting, np.array([factor]), TOLD, seed + 9)), tuple(sorted(points)))


def _bracket(factors: Array, powers: Array) -> tuple[float, float]:
    """The neighbours between which the power rises from hardly any to nearly all."""
    risen = np.maximum.accumulate(powers)
    low = int(np.argmax(risen >= AROUND[0] / 2)) - 1
    high = int(np.argmax(risen >= AROUND[1])) if risen[-1] >= AROUND[1] else len(factors) - 1
    return float(factors[max(low, 0)]), float(factors[high])


def _is_close(powers: Array) -> bool:
    """Whether the steep part of the curve is seen, and not only jumped over."""
    return bool(np.sum((powers > AROUND[0] / 2) & (powers < AROUND[1])) >= 3)


def harmed(cell: Cell, setting: Setting, factors: Array, streams: int, seed: int) -> Runs:
    """Runs of the phase with canaries that are worse by these factors; fewer of a long phase."""
    streams = min(streams, max(FEWEST, streams * HOUR // setting.blocks))
    start = harm(cell, (len(factors), streams))
    return run(cell, start, setting.needed_harm, factors, streams, setting.blocks, seed)


def _powers(cell: Cell, setting: Setting, factors: Array, streams: int, seed: int) -> Array:
    return harmed(cell, setting, factors, streams, seed).reached


def _points(factors: Array, powers: Array) -> tuple[tuple[float, float], ...]:
    return tuple((float(factor), float(power)) for factor, power in zip(factors, powers, strict=True))


def _crossing(factors: Array, powers: Array, power: float) -> float:
    """The factor at which the risen power is there; an end of the factors where it is not between them."""
    risen = np.maximum.accumulate(powers) + 1e-9 * np.arange(len(powers))
    return float(np.exp(np.interp(power, risen, np.log(factors))))


def _fitted(factors: Array, powers: Array) -> float:
    """Where a probit line through the points is at 90 %; between the points where there is no such line."""
    if factors[0] == factors[-1]:
        return float(factors[0])
    normal, edge = NormalDist(), 0.5 / FINEST
    z = np.array([normal.inv_cdf(min(max(float(power), edge), 1 - edge)) for power in powers])
    slope, offset = np.polyfit(np.log(factors), z, 1)
    if slope <= 0:
        return _crossing(factors, powers, SURE)
    return float(np.clip(np.exp((normal.inv_cdf(SURE) - offset) / slope), factors[0], factors[-1]))


def _told(cell: Cell, factor: float, runs: Runs) -> Smallest:
    share = cell.shares(factor)[cell.counted]
    seconds, bad = float(np.median(runs.first[0])), float(runs.bad[0].mean())
    return Smallest(factor, float(runs.reached[0]), share, seconds, bad)
