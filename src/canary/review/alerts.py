"""Which alerts fired, hour by hour: what lasted an hour must not disappear in the sum of a day."""

from __future__ import annotations

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


def alerts(plan: Plan, frames: Frames) -> tuple[Alert, ...]:
    """Every alert of the plan, while both versions had users and since."""
    return tuple(_alert(plan, *each, stage, frames) for each in plan.alerts.each() for stage in (BESIDE, AFTER))


def alerts_since_full(plan: Plan, frames: Frames, severity: Severity) -> tuple[Alert, ...]:
    """Those of one severity, since everybody has the candidate."""
    return tuple(_alert(plan, severity, rule, AFTER, frames) for rule in getattr(plan.alerts, severity))


def _alert(plan: Plan, severity: Severity, rule: Rule, stage: str, frames: Frames) -> Alert:
    verdicts = [
        LiteralJudge().judge([], [rule], evidence, traffic=plan.traffic).verdicts[0]
        for evidence in hours(frames, stage, rule.measure).values()
    ]
    counted = [verdict for verdict in verdicts if verdict.outcome is not Outcome.NO_DATA]
    fired = [verdict for verdict in counted if verdict.outcome is Outcome.FAIL]
    reason = fired[0].reason if fired else ""
    return Alert(severity, f"{rule.measure} {rule.text}", stage, len(fired), len(counted), reason)
