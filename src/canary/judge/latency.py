"""A quantile against a limit. All that a histogram knows is how many observations lie at or below each edge.

"p95 < 200 ms" means: less than 5 % took longer than 200 ms. Where 200 ms is no edge, only what holds at the
next edge above can break the rule, only what holds at the next edge below can keep it, and in between nobody can
tell. "p20 > 85 %" of ratios is the same seen from the other end: less than 20 % lie at or below 85 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.block import NONE, Tally
from canary.judge.buckets import edges_around, quantile_of, whole
from canary.judge.evidence import Evidence
from canary.judge.limits import exact, floor_of, held
from canary.judge.verdict import Outcome, Verdict
from canary.judge.words import count, of_unit, percent
from canary.judge.words import quantile as spoken
from canary.plan.model import QuantileAbove, QuantileBelow, RatioAbove, RatioBelow

OfLimit = QuantileBelow | QuantileAbove | RatioAbove | RatioBelow


def against_limit(rule: OfLimit, evidence: Evidence) -> Verdict:
    """The canary's quantile against a limit. The value is interpolated, the verdict is not."""
    found = evidence.tally(rule.measure, "canary")
    seen = whole(found or NONE)
    shown = quantile_of(seen, rule.quantile)
    split = _Split.at(seen, rule)
    allowed = exact(rule.quantile) if split.low else 1 - exact(rule.quantile)
    outcome = held(seen.total, split.surely_bad, split.maybe_bad, allowed, _fires(rule))
    about = f"{rule.measure} {spoken(rule.quantile)} {shown.told(rule.unit)}" if shown else rule.measure
    reason = f"{about}: {_reason(outcome, split, floor_of(allowed), rule)}"
    value = shown.value if shown else None
    kept = seen if found else None
    return Verdict(rule.text, rule.measure, outcome, value, rule.limit, rule.unit, kept, None, reason)


def _fires(rule: OfLimit) -> bool:
    """A trigger fires beyond its limit; a criterion is kept only short of it."""
    return isinstance(rule, (QuantileAbove, RatioBelow))


@dataclass(frozen=True, slots=True)
class _Split:
    """The observations on both sides of a limit, as far as the edges around it show.

    low: what lies at or below the limit is bad, instead of what lies above.
    """

    total: float
    low: bool
    unit: str
    below: float | None
    above: float | None
    under_below: float | None
    under_above: float | None

    @classmethod
    def at(cls, seen: Tally, rule: OfLimit) -> _Split:
        below, above = edges_around(seen, rule.limit)
        under_below, under_above = (None if edge is None else seen.buckets[edge] for edge in (below, above))
        low = isinstance(rule, (RatioAbove, RatioBelow))
        return cls(seen.total, low, rule.unit, below, above, under_below, under_above)

    @property
    def surely_bad(self) -> float | None:
        return self.under_below if self.low else _rest(self.total, self.under_above)

    @property
    def maybe_bad(self) -> float | None:
        return self.under_above if self.low else _rest(self.total, self.under_below)

    def __str__(self) -> str:
        """How many were bad, said at every edge that tells something."""
        side, nearer, farther = (
            ("at or below", self.below, self.above) if self.low else ("over", self.above, self.below)
        )
        known = [(self.surely_bad, nearer), (self.maybe_bad, farther)]
        bad = dict.fromkeys(
            f"{percent(n / self.total)} {side} {of_unit(edge, self.unit)}"
            for n, edge in known
            if n is not None and edge
        )
        nothing = f"no bucket tells the {'latency' if self.unit == 'seconds' else 'ratio'}"
        what = "requests" if self.unit == "seconds" else "observations"
        return f"of {count(self.total)} canary {what} {' and '.join(bad) or nothing}"


def _rest(total: float, part: float | None) -> float | None:
    return None if part is None else total - part


def _reason(outcome: Outcome, split: _Split, floor: int, rule: OfLimit) -> str:
    if outcome is Outcome.NO_DATA:
        return f"not one canary {'request' if rule.unit == 'seconds' else 'observation'} was measured"
    above = isinstance(rule, (QuantileAbove, RatioAbove))
    told = f"{spoken(rule.quantile)} {'>' if above else '<'} {of_unit(rule.limit, rule.unit)}"
    rest = f"{split}{_gap(split, rule.limit)}"
    if outcome is Outcome.FAIL:
        return f"{rest}; that {'is' if _fires(rule) else 'breaks'} {told}"
    if split.total < floor:
        return f"{rest} so far; too few to tell, {count(floor)} are needed"
    if outcome is Outcome.UNDECIDED:
        return f"{rest}; the buckets cannot tell, an edge at the limit would"
    return f"{rest}; that {'is not' if _fires(rule) else 'keeps'} {told}"


def _gap(split: _Split, limit: float) -> str:
    """What the reader must know when the limit is no edge."""
    if split.below == split.above is not None:
        return ""
    at = of_unit(limit, split.unit)
    fails, passes = (split.below, split.above) if split.low else (split.above, split.below)
    if fails is None:
        reaches = "lies below" if split.low else "reaches"
        return f" (no bucket edge {reaches} the limit of {at}, so this rule cannot fail)"
    if passes is None:
        reaches = "reaches" if split.low else "lies below"
        return f" (no bucket edge {reaches} the limit of {at}, so this rule cannot pass)"
    over, under = ("slow", "fast") if split.unit == "seconds" else ("high", "low")
    return (
        f" (the limit of {at} is no bucket edge: above {of_unit(split.above or 0.0, split.unit)} counts as {over}, "
        f"below {of_unit(split.below or 0.0, split.unit)} as {under})"
    )
