"""How sure a counted share is: the interval of Clopper and Pearson, exact for any number of runs."""

from __future__ import annotations

import math
from functools import lru_cache

CONFIDENCE = 0.99
ROUNDS, SMALL = 400, 1e-300


@lru_cache(maxsize=100_000)
def interval(hits: int, runs: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Shares that hold the true one with at least `confidence`, both sides. Raises ValueError without runs."""
    if not 0 <= hits <= runs or not runs:
        raise ValueError(f"{hits} of {runs} is no share")
    tail = (1 - confidence) / 2
    low = _quantile(tail, hits, runs - hits + 1) if hits else 0.0
    high = _quantile(1 - tail, hits + 1, runs - hits) if hits < runs else 1.0
    return low, high


def _quantile(chance: float, a: float, b: float) -> float:
    """Where the beta distribution's tail is `chance`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_below(a, b, middle) < chance else (low, middle)
    return (low + high) / 2


def beta_below(a: float, b: float, x: float) -> float:
    """The chance that a beta variable is below x: the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_below(b, a, 1 - x)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's continued fraction; within 1e-14 long before the last round wherever `beta_below` asks."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, ROUNDS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _not_zero(1 + term * d), _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > SMALL else SMALL
