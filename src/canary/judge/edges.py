"""Latency against the baseline: at bucket edges, where a histogram tells the truth.

A request is bad when it took longer than the edge. "20 % slower" is translated, once, into what that would do to the
share above each edge: by the baseline's own histogram, log-normal inside a bucket. What was learnt from is not bet
on. The translation is an approximation of the stated 20 %, so the edges and what they stand for are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from canary.judge.block import Tally
from canary.judge.buckets import quantile_of, whole

LEARNT_FROM = 500
"""Baseline observations after which the edges are chosen."""
NORMAL = NormalDist()
NEAR = (0.50, 0.90, 0.99)
"""Quantiles whose nearest edges are looked at."""
MOST = 0.98
"""An edge that more of the baseline lies above tells nothing of being slower."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An upper edge (seconds), and the odds ratio of being above it that "so much slower" means there."""

    seconds: float
    odds: float


def edges(baseline: Tally, slower_by: float, quantiles: tuple[float, ...] = NEAR) -> tuple[Edge, ...]:
    """The edges to compare at, rising; none when no edge lies where the baseline's requests are.

    slower_by: 0.2 for 20 % slower; 0 for any slower, odds 1 at every edge.
    """
    seen = whole(baseline)
    if not seen.total or not seen.buckets:
        return ()
    wanted = [quantile_of(seen, quantile) for quantile in quantiles]
    near = {_nearest(seen, q.value if q.value is not None else q.last) for q in wanted if q}
    return tuple(Edge(edge, odds) for edge in sorted(near) for odds in _odds(seen, edge, slower_by))


def _nearest(seen: Tally, value: float) -> float:
    return min(seen.buckets, key=lambda edge: abs(math.log(edge / value)) if edge > 0 < value else math.inf)


def _odds(seen: Tally, edge: float, slower_by: float) -> Iterator[float]:
    """One value, or none where the edge tells nothing."""
    above = (above_share(seen, edge) * seen.total + 0.5) / (seen.total + 1)
    if above > MOST:
        return
    if not slower_by:
        yield 1.0
        return
    slowed = min(above_share(seen, edge / (1 + slower_by)), 1 - 1e-6)
    yield max(slowed / (1 - slowed) * (1 - above) / above, 1.0)


def above_share(seen: Tally, value: float) -> float:
    """The share of observations above `value`; between two edges as if they were log-normal there."""
    low, under_low = 0.0, 0.0
    for edge, under in seen.buckets.items():
        if value <= edge:
            return 1 - _inside(value, (low, under_low / seen.total), (edge, under / seen.total))
        low, under_low = edge, under
    return 1 - under_low / seen.total


def _inside(value: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """The share at or below `value`, from (edge, share) on both sides: a line of normal scores over the logarithm.

    A line of shares instead puts too many just below an edge in the tail: of a log-normal with p95 at 190 ms, an odds
    ratio of 3.2 for "20 % slower" above 250 ms, where 1.85 is true. Where a side has no score, the line of shares.
    """
    (edge, under), (upper, below) = low, high
    if edge <= 0:
        return below * value / upper
    part = math.log(value / edge) / math.log(upper / edge)
    if not 0 < under < 1 or not 0 < below < 1:
        return under + part * (below - under)
    first, last = NORMAL.inv_cdf(under), NORMAL.inv_cdf(below)
    return NORMAL.cdf(first + part * (last - first))
