"""A quantile against a limit. All that a histogram knows is how many observations lie at or below each edge.

"p95 < 200 ms" means: less than 5 % took longer than 200 ms. Where 200 ms is no edge, only what holds at the
next edge above can break the rule, only what holds at the next edge below can keep it, and in between nobody can
tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.block import NONE, Tally
from canary.judge.buckets import edges_around, quantile_of, whole
from canary.judge.evidence import Evidence
from canary.judge.limits import exact, floor_of, held
from canary.judge.verdict import Outcome, Verdict
from canary.judge.words import count, percent, seconds
from canary.judge.words import quantile as spoken
from canary.plan.model import QuantileAbove, QuantileBelow


def against_limit(rule: QuantileBelow | QuantileAbove, evidence: Evidence) -> Verdict:
    """The canary's quantile against a limit (seconds). The value is interpolated, the verdict is not."""
    found = evidence.tally(rule.measure, "canary")
    seen = whole(found or NONE)
    shown = quantile_of(seen, rule.quantile)
    split = _Split.at(seen, rule.limit)
    allowed = 1 - exact(rule.quantile)
    outcome = held(seen.total, split.surely_slow, split.maybe_slow, allowed, isinstance(rule, QuantileAbove))
    about = f"{rule.measure} {spoken(rule.quantile)} {shown}" if shown else rule.measure
    reason = f"{about}: {_reason(outcome, split, floor_of(allowed), rule)}"
    value = shown.value if shown else None
    kept = seen if found else None
    return Verdict(rule.text, rule.measure, outcome, value, rule.limit, "seconds", kept, None, reason)


@dataclass(frozen=True, slots=True)
class _Split:
    """The observations on both sides of a limit, as far as the edges around it show."""

    total: float
    below: float | None
    above: float | None
    surely_slow: float | None
    maybe_slow: float | None

    @classmethod
    def at(cls, seen: Tally, limit: float) -> _Split:
        below, above = edges_around(seen, limit)
        surely = None if above is None else seen.total - seen.buckets[above]
        maybe = None if below is None else seen.total - seen.buckets[below]
        return cls(seen.total, below, above, surely, maybe)

    def __str__(self) -> str:
        """How many were slow, said at every edge that tells something."""
        known = [(self.surely_slow, self.above), (self.maybe_slow, self.below)]
        slow = dict.fromkeys(
            f"{percent(n / self.total)} over {seconds(edge)}" for n, edge in known if n is not None and edge
        )
        return f"of {count(self.total)} canary requests {' and '.join(slow) or 'no bucket tells the latency'}"


def _reason(outcome: Outcome, split: _Split, floor: int, rule: QuantileBelow | QuantileAbove) -> str:
    above = isinstance(rule, QuantileAbove)
    if outcome is Outcome.NO_DATA:
        return "not one canary request was measured"
    allowed = f"{spoken(rule.quantile)} {'>' if above else '<'} {seconds(rule.limit)}"
    rest = f"{split}{_gap(split, rule.limit)}"
    if outcome is Outcome.FAIL:
        return f"{rest}; that {'is' if above else 'breaks'} {allowed}"
    if split.total < floor:
        return f"{rest} so far; too few to tell, {count(floor)} are needed"
    if outcome is Outcome.UNDECIDED:
        return f"{rest}; the buckets cannot tell, an edge at the limit would"
    return f"{rest}; that {'is not' if above else 'keeps'} {allowed}"


def _gap(split: _Split, limit: float) -> str:
    """What the reader must know when the limit is no edge."""
    if split.below == split.above is not None:
        return ""
    if split.above is None:
        return f" (no bucket edge reaches the limit of {seconds(limit)}, so this rule cannot fail)"
    if split.below is None:
        return f" (no bucket edge lies below the limit of {seconds(limit)}, so this rule cannot pass)"
    return (
        f" (the limit of {seconds(limit)} is no bucket edge: above {seconds(split.above)} counts as slow, "
        f"below {seconds(split.below)} as fast)"
    )
