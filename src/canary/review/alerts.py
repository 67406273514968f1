"""Which alerts fired, hour by hour: what lasted an hour must not disappear in the sum of a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from canary.judge.literal import LiteralJudge
from canary.judge.verdict import Outcome
from canary.plan.model import Plan, Rule
from canary.plan.watching import Severity
from canary.review.frame import AFTER, BESIDE, Frames
from canary.review.sums import hours


@dataclass(frozen=True, slots=True)
class Alert:
    """fired: hours in which it fired, of `hours` in which anything was counted; reason: of the first firing."""

    severity: Severity
    rule: str
    stage: str
    fired: int
    hours: int
    reason: str


def alerts(plan: Plan, frames: Frames, traffic: str) -> tuple[Alert, ...]:
    """Every alert of the plan, while both versions had users and since."""
    return tuple(_alerts(plan, frames, traffic))


def _alerts(plan: Plan, frames: Frames, traffic: str) -> Iterator[Alert]:
    for severity, rule in plan.alerts.each():
        for stage in (BESIDE, AFTER):
            yield _alert(severity, rule, stage, frames, traffic)


def _alert(severity: Severity, rule: Rule, stage: str, frames: Frames, traffic: str) -> Alert:
    verdicts = [
        LiteralJudge().judge([], [rule], evidence, traffic=traffic).verdicts[0]
        for evidence in hours(frames, stage, rule.measure).values()
    ]
    counted = [verdict for verdict in verdicts if verdict.outcome is not Outcome.NO_DATA]
    fired = [verdict for verdict in counted if verdict.outcome is Outcome.FAIL]
    reason = fired[0].reason if fired else ""
    return Alert(severity, f"{rule.measure} {rule.text}", stage, len(fired), len(counted), reason)
