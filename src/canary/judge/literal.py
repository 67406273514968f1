"""The literal judge: every rule as it is written, over everything the phase has counted.

It looks as often as it is asked and corrects nothing for that; the floors keep the noise of a small sample from
passing or failing anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from canary.judge.comparison import slower
from canary.judge.counts import literal, rate
from canary.judge.evidence import Evidence
from canary.judge.latency import against_limit
from canary.judge.starvation import starvation
from canary.judge.verdict import PhaseVerdict, Verdict
from canary.plan.model import (
    AnySeen,
    NoneSeen,
    NoWorseThanBaseline,
    QuantileAbove,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
    WorseThanBaseline,
)


class Judge(Protocol):
    """Evidence → verdict. Pure: the same evidence has the same verdict, whenever and however often asked."""

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        """One verdict a rule, then the starvation guard's over the measure `traffic`; the worst one counts.

        A trigger that has not fired is a PASS only when it was counted, like a criterion.
        """


class LiteralJudge:
    """Each rule at its word; see `canary.judge.counts`, `.latency`, `.comparison` and `.starvation`."""

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        verdicts = [literally(rule, evidence) for rule in (*criteria, *triggers)]
        return PhaseVerdict.of([*verdicts, starvation(evidence, traffic)])


def literally(rule: Rule, evidence: Evidence) -> Verdict:
    """The rule as it is written, over everything that was counted."""
    match rule:
        case RateBelow() | RateAbove():
            return rate(rule, evidence)
        case QuantileBelow() | QuantileAbove() | RatioAbove() | RatioBelow():
            return against_limit(rule, evidence)
        case NoneSeen() | AnySeen():
            return literal(rule, evidence)
        case WorseThanBaseline() | NoWorseThanBaseline():
            return slower(rule, evidence)
