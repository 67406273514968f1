"""How often something happened, and between which limits its true share lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

OUTSIDE = 0.01
"""The chance that the true share lies outside the interval: a half at each end."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of`; low, high: the 99 % interval of Clopper and Pearson, as if all `of` were independent."""

    hits: int
    of: int
    low: float
    high: float

    @classmethod
    def seen(cls, hits: int, of: int) -> Rate:
        """Of nothing, everything is possible."""
        if not of:
            return cls(0, 0, 0.0, 1.0)
        low = _where(lambda share: 1 - _at_most(hits - 1, of, share) < OUTSIDE / 2) if hits else 0.0
        high = _where(lambda share: _at_most(hits, of, share) > OUTSIDE / 2) if hits < of else 1.0
        return cls(hits, of, low, high)

    @property
    def share(self) -> float:
        """0–1; 0 of nothing."""
        return self.hits / self.of if self.of else 0.0


def needed(at_most: float) -> int:
    """Of how many without a single hit the upper limit is `at_most` (0–1)."""
    return math.ceil(math.log(OUTSIDE / 2) / math.log1p(-at_most))


def _where(below: Callable[[float], bool]) -> float:
    """The share up to which `below` holds, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def _at_most(hits: int, of: int, share: float) -> float:
    """P(no more than `hits` of `of`), binomial."""
    if hits < 0 or not 0 < share < 1:
        return 0.0 if hits < 0 or share >= 1 else 1.0
    k = np.arange(hits)
    steps = np.log((of - k) / (k + 1)) + math.log(share) - math.log1p(-share)
    logs = of * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])
    return min(float(np.exp(logs).sum()), 1.0)
