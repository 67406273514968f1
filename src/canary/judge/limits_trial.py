"""Rules with a limit of their own: a rate, or a quantile at the edges around its limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from canary.judge.block import NONE, Block, Tally
from canary.judge.bound import Bound, interval, seen_by_now
from canary.judge.buckets import edges_around, whole
from canary.judge.proof import Proof
from canary.judge.trial import Moment
from canary.judge.words import of_unit
from canary.plan.model import QuantileAbove, QuantileBelow, RateAbove, RateBelow, RatioAbove, RatioBelow

Limited = RateBelow | RateAbove | QuantileBelow | QuantileAbove | RatioAbove | RatioBelow


@dataclass(frozen=True, slots=True, eq=False)
class LimitTrial:
    """A share of bad requests against the share that the rule allows.

    below, above: the edges that were used around a limit on a quantile (equal: the limit is one); None: no such edge.
    """

    rule: Limited
    bound: Bound
    below: float | None = None
    above: float | None = None

    @classmethod
    def start(cls, rule: Limited) -> Self:
        return cls(rule, Bound.start(allowed(rule), rule.how.cluster))

    def add(self, block: Block, moment: Moment) -> LimitTrial:
        found = block.increments.get(self.rule.measure, {}).get("canary", NONE)
        if not found.total:
            return self
        if isinstance(self.rule, RateBelow | RateAbove):
            bad = min(found.bad, found.total)
            return replace(self, bound=self.bound.add(found.total, bad))
        return self._at_edges(whole(found))

    def _at_edges(self, found: Tally) -> LimitTrial:
        below, above = edges_around(found, self.rule.limit)
        low = isinstance(self.rule, RatioAbove | RatioBelow)
        sure_at, maybe_at = (below, above) if low else (above, below)
        surely, maybe = _bad(found, sure_at, low, 0.0), _bad(found, maybe_at, low, found.total)
        bound = self.bound.add(found.total, surely, maybe)
        return replace(self, bound=bound, below=below, above=above)

    @property
    def harm(self) -> float:
        return float(self.bound.harm)

    @property
    def fine(self) -> float:
        return float(self.bound.fine)

    @property
    def able(self) -> bool:
        if isinstance(self.rule, RateBelow | RateAbove):
            return True
        return (self.below if isinstance(self.rule, RatioAbove | RatioBelow) else self.above) is not None

    def proof(self, needed_harm: float, needed_fine: float) -> Proof:
        n, surely, maybe = float(self.bound.n), float(self.bound.surely), float(self.bound.maybe)
        low, high = interval(n, surely, maybe, self.bound.cluster)
        seen = seen_by_now(self.bound.limit, n, self.bound.cluster, needed_harm)
        value = surely / n if n else None
        return Proof("share", self.harm, needed_harm, self.fine, needed_fine, value, low, high, seen)

    def caveat(self) -> str:
        if (
            isinstance(self.rule, RateBelow | RateAbove)
            or not float(self.bound.n)
            or self.below == self.above is not None
        ):
            return ""
        at, unit = of_unit(self.rule.limit, self.rule.unit), self.rule.unit
        known = [f"{of_unit(edge, unit)}" for edge in (self.below, self.above) if edge is not None]
        return f"{at} is no bucket edge; judged at {' and '.join(known) or 'no edge at all: it cannot be judged'}"


def allowed(rule: Limited) -> float:
    """The share of bad ones that the rule allows: "p95 < 200 ms" allows 5 % above 200 ms."""
    if isinstance(rule, RateBelow | RateAbove):
        return rule.limit
    return rule.quantile if isinstance(rule, RatioAbove | RatioBelow) else 1 - rule.quantile


def _bad(found: Tally, edge: float | None, low: bool, unknown: float) -> float:
    if edge is None:
        return unknown
    return found.buckets[edge] if low else max(found.total - found.buckets[edge], 0.0)
