"""The plan's alerts after full exposure, held against what one look of the watch has measured."""

from __future__ import annotations

from collections.abc import Iterator

from canary.judge.evidence import Block, Evidence
from canary.judge.literal import LiteralJudge
from canary.judge.verdict import Outcome
from canary.plan.model import OfBaseline, Plan, Rule
from canary.rollout.fired import FiredAlert
from canary.rollout.past import against_past
from canary.rollout.state import State


def alerts_at(plan: Plan, state: State, block: Block) -> tuple[FiredAlert, ...]:
    """Those that fire by this block, and those that fired before and of which it cannot tell: silence ends none.

    block: of the candidate alone. Comparisons are made with the past, where there is one.
    """
    return tuple(_alerts(plan, state, Evidence({**block.watched, **block.increments})))


def _alerts(plan: Plan, state: State, evidence: Evidence) -> Iterator[FiredAlert]:
    before = {alert.name for alert in state.alerts}
    for severity, rule in plan.alerts.each():
        fires, reason = _found(plan, state, rule, evidence)
        alert = FiredAlert(severity=severity, rule=f"{rule.measure} {rule.text}", reason=reason, now=bool(fires))
        if fires or (fires is None and alert.name in before):
            yield alert


def _found(plan: Plan, state: State, rule: Rule, evidence: Evidence) -> tuple[bool | None, str]:
    """Whether it fires, or None when too little was measured to tell; and why."""
    if isinstance(rule, OfBaseline):
        compared = against_past(rule, state.former, evidence)
        return (compared.slower, compared.reason) if compared else (None, f"{rule.measure}: no figures to compare")
    verdict = LiteralJudge().judge([], [rule], evidence, traffic=plan.traffic).verdicts[0]
    return {Outcome.FAIL: True, Outcome.PASS: False}.get(verdict.outcome), verdict.reason
