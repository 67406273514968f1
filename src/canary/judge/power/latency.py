"""How long a service's requests take today, as far as somebody knows: the share that takes longer than so long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from canary.judge.block import Tally
from canary.judge.buckets import quantile_of, whole
from canary.judge.edges import above_share

DEFAULT_EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: the buckets of Prometheus's client libraries (github.com/prometheus/client_python, Histogram)."""
_NORMAL = NormalDist()


class Latency(Protocol):
    """edges: upper edges of the histogram's buckets, seconds, rising."""

    @property
    def edges(self) -> tuple[float, ...]: ...

    def above(self, seconds: float) -> float:
        """The share of requests, 0–1, that takes longer."""

    def quantile(self, share: float) -> float | None:
        """Seconds within which that share of the requests is done; None where nobody can tell."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal distribution by two of its quantiles, in seconds."""

    p50: float
    p95: float
    edges: tuple[float, ...] = DEFAULT_EDGES

    @property
    def _spread(self) -> float:
        return math.log(self.p95 / self.p50) / _NORMAL.inv_cdf(0.95)

    def above(self, seconds: float) -> float:
        return 1 - _NORMAL.cdf(math.log(seconds / self.p50) / self._spread)

    def quantile(self, share: float) -> float | None:
        return self.p50 * math.exp(self._spread * _NORMAL.inv_cdf(share))


@dataclass(frozen=True, slots=True)
class Counted:
    """What a histogram counted; between its edges log-normal."""

    tally: Tally

    @property
    def edges(self) -> tuple[float, ...]:
        return tuple(sorted(self.tally.buckets))

    def above(self, seconds: float) -> float:
        return above_share(whole(self.tally), seconds)

    def quantile(self, share: float) -> float | None:
        found = quantile_of(whole(self.tally), share)
        return found.value if found else None


def as_tally(latency: Latency, requests: float = 1e6) -> Tally:
    """The histogram of so many requests, without noise."""
    buckets = {edge: requests * (1 - latency.above(edge)) for edge in latency.edges}
    return Tally(requests, 0.0, buckets)
