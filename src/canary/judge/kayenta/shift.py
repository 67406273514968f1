"""How far the canary lies from the baseline: the Hodges-Lehmann shift with its confidence interval.

The shifts mu that the rank-sum test does not reject, by normal approximation with ties and continuity corrected; as
R's wilcox.test(conf.int = TRUE, exact = FALSE), but for Kayenta's own root finder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from canary.errors import MeasurementFailed
from canary.judge.kayenta.brent import Point, root

Values = NDArray[np.float64]
NOISE = 1e-5
"""Standard deviation of the noise on a constant arm, as a share of its value."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Canary minus baseline in the metric's unit: the confidence interval's ends and the estimate."""

    lower: float
    upper: float
    estimate: float


@np.errstate(over="ignore")
def shift(canary: Values, baseline: Values, conf_level: float) -> Shift:
    """The shift between two arms of finite values, neither empty; conf_level is a share between 0 and 1.

    Raises MeasurementFailed where the test has no answer: all observations tied, or too far apart for a double.
    """
    x, y = np.sort(canary), np.sort(baseline)
    if x[0] == x[-1] and y[0] == y[-1]:
        x, y = _spread(x), _spread(y)
    least, most = float(x[0]) - float(y[-1]), float(x[-1]) - float(y[0])
    if least == most:
        raise _tied()
    if not math.isfinite(most - least):
        raise MeasurementFailed("the values lie too far apart to be subtracted", "give the metric in a larger unit")

    def score(mu: float) -> float:
        return _score(x - mu, y)

    low, high = (least, score(least)), (most, score(most))
    quantile = NormalDist().inv_cdf((1.0 - conf_level) / 2)
    return Shift(_end(score, low, high, -quantile), _end(score, low, high, quantile), root(score, low, high))


def wins(x: Values, y: Values) -> float:
    """Pairs in which x is larger, a tie being half a pair (Mann and Whitney's U of x); both ascending."""
    return float(np.searchsorted(y, x, "left").sum() + np.searchsorted(y, x, "right").sum()) / 2


def _end(score: Callable[[float], float], low: Point, high: Point, quantile: float) -> float:
    """Where the score falls through the quantile; the nearest possible shift when it never does."""
    (least, at_least), (most, at_most) = low, high
    if at_least - quantile <= 0:
        return least
    if at_most - quantile >= 0:
        return most
    return root(lambda mu: score(mu) - quantile, (least, at_least - quantile), (most, at_most - quantile))


def _score(x: Values, y: Values) -> float:
    """The rank-sum statistic of x against y in standard deviations; both ascending. Falls as x falls."""
    n, m = float(x.size), float(y.size)
    excess = wins(x, y) - n * m / 2
    sigma = math.sqrt(n * m / 12 * ((n + m + 1) - _ties(x, y) / ((n + m) * (n + m - 1))))
    if sigma == 0:
        raise _tied()
    return (excess - math.copysign(0.5, excess) * (excess != 0)) / sigma


def _ties(x: Values, y: Values) -> float:
    """Sum of t³ - t over the groups of t equal observations."""
    both = np.concatenate((x, y))
    both.sort(kind="stable")
    starts = np.flatnonzero(both[1:] != both[:-1]) + 1
    sizes = np.diff(starts, prepend=0, append=both.size).astype(np.float64)
    return float((sizes**3 - sizes).sum())


def _spread(values: Values) -> Values:
    """A constant arm with the expected values of Kayenta's Gaussian noise: some width, nothing random; ascending."""
    size = values.size
    scores = np.array([NormalDist().inv_cdf((k + 0.5) / size) for k in range(size)])
    return np.sort(values + scores * float(values[0]) * NOISE)


def _tied() -> MeasurementFailed:
    return MeasurementFailed(
        "the rank test has no confidence interval: all observations are tied", "give each arm several different values"
    )
