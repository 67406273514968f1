"""Where a rollout stands, as a person wants to see it. The terminal and the Prefect UI draw the same view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from canary.judge.verdict import Verdict
from canary.plan.kinds import KINDS, kind_of
from canary.plan.model import Phase, Plan
from canary.rollout.fired import FiredAlert
from canary.rollout.history import Story, Yes
from canary.rollout.numbers import number, spark
from canary.rollout.state import State

Kind = Literal["criterion", "trigger", "guard", "check", "rule"]
"""`guard` is the judge's own look for starvation; `rule` is any of the three, without the plan that tells which."""
Standing = Literal[
    "preflight",
    "checking",
    "awaiting approval",
    "exposing",
    "judging",
    "held",
    "rolling back",
    "unverified",
    "closing",
    "promoted",
    "rolled back",
    "refused",
]
"""`checking`: a phase at exposure 0. `held`: waits for a person. `unverified`: a rollback, or its end, that not every
target has confirmed."""


@dataclass(frozen=True, slots=True)
class Left:
    """Until when something lasts: a soak, an approval, a hold, or a rollback before it counts as unverified.

    ends_at: unix seconds. seconds: by the clock. plan_seconds: in the plan's time, or None where that does not apply.
    """

    of: Literal["soak", "approval", "hold", "rollback"]
    ends_at: float
    seconds: float
    plan_seconds: float | None


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target: the share it was asked for and the one it showed last, 0–1; None when it has not shown any."""

    name: str
    asked: float
    observed: float | None
    answer: str
    detail: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One criterion, trigger or check: what was measured, against what, over how many, and what came of it."""

    kind: Kind
    rule: str
    value: str
    limit: str
    samples: str
    verdict: str
    reason: str
    over_time: str


@dataclass(frozen=True, slots=True)
class View:
    """One rollout at one moment. Shares 0–1, times unix seconds.

    judged: the phase that `rules` are about; "" when nothing was judged or checked.
    waits_for: roles that have not approved yet. hold: why a person must decide, or None.
    alerts: what the last look of the watch left firing.
    """

    rollout: str
    service: str
    version: str
    phase: str
    standing: Standing
    why: str
    left: Left | None
    asked: float
    targets: tuple[TargetRow, ...]
    approvals: tuple[Yes, ...]
    waits_for: tuple[str, ...]
    judged: str
    verdict: str
    rules: tuple[RuleRow, ...]
    hold: str | None
    features_off: tuple[str, ...]
    bad_requests: float
    alerts: tuple[FiredAlert, ...]
    said: str
    said_at: float


def view(story: Story, plan: Plan | None, now: float) -> View:
    """Pure. `now` in unix seconds; without the plan its time and its kinds of rules are not told."""
    state = story.state
    return View(
        rollout=state.rollout,
        service=state.service,
        version=state.version,
        phase=state.phase or "preflight",
        standing=standing(state),
        why=_why(state),
        left=_left(state, plan, now),
        asked=state.asked,
        targets=tuple(_targets(state, plan)),
        approvals=story.history.approvals,
        waits_for=state.approval.missing if state.approval and not over(state) else (),
        judged=state.soaking if state.verdict else state.phase if state.looks.last else "",
        verdict=f"{state.verdict.outcome}: {state.verdict.reason}" if state.verdict else "",
        rules=tuple(_rules(story, plan)),
        hold=state.hold.reason if state.hold and not over(state) else None,
        features_off=state.features_off,
        bad_requests=state.bad_requests,
        alerts=() if state.stop or state.rollback else state.alerts,
        said=story.history.said,
        said_at=story.history.said_at,
    )


def over(state: State) -> bool:
    """Whether nothing goes forward any more: it has ended, or is on its way back."""
    return bool(state.ended or state.rollback)


def standing(state: State) -> Standing:
    """One word for what a rollout does, or came to."""
    if state.ended:
        return _end(state.ended.outcome)
    if state.rollback:
        return "unverified" if state.rollback.unverified_at and not state.rollback.verified else "rolling back"
    if state.hold:
        return "held"
    if state.approval and state.approval.missing:
        return "awaiting approval"
    if not state.phase:
        return "preflight"
    return _going(state)


def _end(outcome: str) -> Standing:
    ends: dict[str, Standing] = {"rolled_back": "rolled back", "promoted": "promoted", "refused": "refused"}
    return "held" if outcome == "held" else ends.get(outcome, "unverified")


def _going(state: State) -> Standing:
    if state.at_full:
        return "closing"
    if state.soaking == state.phase and state.asked > 0:
        return "judging"
    return "exposing" if state.raised else "checking"


def _why(state: State) -> str:
    if state.rollback:
        return state.rollback.reason
    if state.ended:
        return state.ended.reason
    return state.hold.reason if state.hold else ""


def _left(state: State, plan: Plan | None, now: float) -> Left | None:
    """What ends next, of what is going on."""
    if state.ended:
        return None
    if state.rollback:
        ends = state.rollback.started_at + plan.rollback.within if plan and not state.rollback.verified else None
        return Left("rollback", ends, max(0.0, ends - now), None) if ends else None
    if state.hold:
        return _until("hold", state.hold.until, plan, now)
    if state.approval and state.approval.missing:
        return _until("approval", state.approval.due, plan, now)
    soaks = state.soaking == state.phase != "" and state.phase not in state.passed
    return _until("soak", state.due, plan, now) if soaks else None


def _until(of: Literal["soak", "approval", "hold"], ends: float | None, plan: Plan | None, now: float) -> Left | None:
    if ends is None:
        return None
    seconds = max(0.0, ends - now)
    return Left(of, ends, seconds, seconds * plan.time_scale if plan else None)


def _targets(state: State, plan: Plan | None) -> Iterator[TargetRow]:
    for name in dict.fromkeys((*state.release, *state.targets)):
        shown = state.targets.get(name)
        observed, answer, detail = (shown.observed, shown.answer, shown.detail) if shown else (None, "", "not seen yet")
        yield TargetRow(name, _asked_of(name, state.asked, plan), observed, answer, detail)


def _asked_of(target: str, share: float, plan: Plan | None) -> float:
    """A flag is on for everybody who reads it, or off: what it can show is what it was asked for."""
    spec = plan.targets.get(target) if plan else None
    boolean = spec is not None and KINDS[kind_of(spec.use)].share == "boolean"
    return float(share > 0) if boolean else share


def _rules(story: Story, plan: Plan | None) -> Iterator[RuleRow]:
    state = story.state
    if state.verdict is None:
        for name, (outcome, detail) in state.looks.last.items():
            yield RuleRow("check", name, detail, "", "", outcome, detail, "")
        return
    phase = next((p for p in plan.phases if p.name == state.soaking), None) if plan else None
    for index, verdict in enumerate(state.verdict.verdicts):
        values = story.history.values.get((verdict.measure, verdict.rule), ())
        yield _row(verdict, _kind(phase, index), spark(values))


def _kind(phase: Phase | None, index: int) -> Kind:
    """In the judge's order: criteria, triggers, and then its own guard."""
    if phase is None:
        return "rule"
    if index < len(phase.criteria):
        return "criterion"
    return "trigger" if index < len(phase.criteria) + len(phase.triggers) else "guard"


def _row(verdict: Verdict, kind: Kind, over_time: str) -> RuleRow:
    return RuleRow(
        kind=kind,
        rule=f"{verdict.measure}: {verdict.rule}",
        value=number(verdict.value, verdict.unit),
        limit=number(verdict.limit, verdict.unit),
        samples=f"{verdict.canary.total:,.0f}" if verdict.canary else "0",
        verdict=str(verdict.outcome),
        reason=verdict.reason,
        over_time=over_time,
    )
