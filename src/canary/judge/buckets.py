"""Arithmetic on histogram buckets. Edges are seconds (or ratios 0–1), counts cumulative."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from canary.judge.block import Tally
from canary.judge.words import of_unit


def whole(tally: Tally) -> Tally:
    """The tally with counts that fit together: none above the total, none below that of a lower edge.

    They do not always: pods of one arm may have different edges, or one series of a histogram lost a sample.
    """
    buckets, most = {}, 0.0
    for edge, found in sorted(tally.buckets.items()):
        buckets[edge] = most = max(most, found)
    return replace(tally, total=max(tally.total, most), buckets=buckets)


def edges_around(tally: Tally, limit: float) -> tuple[float | None, float | None]:
    """The nearest edges at or below, and at or above the limit; both the same when the limit is an edge."""
    exact = next((edge for edge in tally.buckets if math.isclose(edge, limit, rel_tol=1e-9)), None)
    if exact is not None:
        return exact, exact
    below = max((edge for edge in tally.buckets if edge < limit), default=None)
    return below, min((edge for edge in tally.buckets if edge > limit), default=None)


@dataclass(frozen=True, slots=True)
class Quantile:
    """Where a quantile lies: interpolated inside its bucket, or (`value` None) above the `last` edge."""

    value: float | None
    last: float

    def __str__(self) -> str:
        return self.told("seconds")

    def told(self, unit: str) -> str:
        """In words; `unit` is "seconds" or "share"."""
        return f"above {of_unit(self.last, unit)}" if self.value is None else f"≈ {of_unit(self.value, unit)}"


def quantile_of(tally: Tally, quantile: float) -> Quantile | None:
    """The quantile, linear inside its bucket as in Prometheus's histogram_quantile; None without observations."""
    if not tally.total or not tally.buckets:
        return None
    rank, low, below = quantile * tally.total, 0.0, 0.0
    for edge, found in tally.buckets.items():
        if found >= rank:
            return Quantile(low + (edge - low) * (rank - below) / (found - below), max(tally.buckets))
        low, below = edge, found
    return Quantile(None, max(tally.buckets))
