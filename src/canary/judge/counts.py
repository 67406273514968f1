"""Rules on counters: a rate against a limit, and rules that one event decides."""

from __future__ import annotations

from typing import NamedTuple

from canary.judge.block import NONE, Tally
from canary.judge.evidence import Evidence
from canary.judge.limits import exact, floor_of, held
from canary.judge.verdict import Outcome, Verdict
from canary.judge.words import count, percent
from canary.plan.model import AnySeen, NoneSeen, RateAbove, RateBelow

CLEAN = 300
"""Opportunities without an event that "none" asks for: a rate of 1 % or more is then excluded at 95 %."""


def rate(rule: RateBelow | RateAbove, evidence: Evidence) -> Verdict:
    """The bad share of the canary's requests against the limit."""
    tally = evidence.tally(rule.measure, "canary")
    seen, limit, beyond = tally or NONE, exact(rule.limit), isinstance(rule, RateAbove)
    outcome = held(seen.total, seen.bad, seen.bad, limit, beyond)
    value = seen.bad / seen.total if seen.total else None
    told = _Told(rule.measure, seen, percent(rule.limit), floor_of(limit), beyond)
    return Verdict(rule.text, rule.measure, outcome, value, rule.limit, "share", tally, None, told.reason(outcome))


def literal(rule: NoneSeen | AnySeen, evidence: Evidence) -> Verdict:
    """FAIL at the first event. `NoneSeen` passes after 300 clean opportunities, `AnySeen` after one."""
    tally = evidence.tally(rule.measure, "canary")
    seen, needed = tally or NONE, CLEAN if isinstance(rule, NoneSeen) else 1
    outcome, reason = _literal(rule.measure, seen, needed)
    return Verdict(rule.text, rule.measure, outcome, seen.bad, 0.0, "events", tally, None, reason)


def _literal(measure: str, seen: Tally, needed: int) -> tuple[Outcome, str]:
    found = f"{count(seen.bad)} in {count(seen.total)} canary opportunities"
    if seen.bad:
        return Outcome.FAIL, f"{measure}: {found}, and not one is allowed"
    if not seen.total:
        return Outcome.NO_DATA, f"{measure}: not one canary opportunity was counted, so none proves nothing"
    if seen.total < needed:
        return Outcome.UNDECIDED, f"{measure}: {found} so far, {needed} clean ones are needed"
    return Outcome.PASS, f"{measure}: {found}"


class _Told(NamedTuple):
    """A rate in words."""

    measure: str
    seen: Tally
    limit: str
    floor: int
    beyond: bool

    def reason(self, outcome: Outcome) -> str:
        if outcome is Outcome.NO_DATA:
            return f"{self.measure}: not one canary request was counted"
        if outcome is Outcome.FAIL and self.seen.total < self.floor:
            return f"{self._found()}, {self._broken()}: it cannot recover by {count(self.floor)} requests"
        if outcome is Outcome.FAIL:
            return f"{self._found()}, {self._broken()}"
        if outcome is Outcome.UNDECIDED:
            needed = f"the limit of {self.limit} needs {count(self.floor)}"
            return f"{self._found()} so far: too few to tell, {needed}"
        return f"{self._found()}, {'not above' if self.beyond else 'below'} the limit of {self.limit}"

    def _found(self) -> str:
        if not self.seen.total:
            return f"{self.measure}: {count(self.seen.bad)} bad events and not one canary request counted"
        share = percent(self.seen.bad / self.seen.total)
        return f"{self.measure} {share} ({count(self.seen.bad)} of {count(self.seen.total)} canary requests)"

    def _broken(self) -> str:
        return f"{'above' if self.beyond else 'not below'} the limit of {self.limit}"
