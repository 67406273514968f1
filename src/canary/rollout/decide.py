"""State → the next action. Pure: the conductor asks, carries out, journals, and asks again.

The order of the questions is the order of what matters: what ends a rollout first, then what takes users off the
candidate, and only then what puts users on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.verdict import Outcome
from canary.plan.kinds import KINDS, kind_of
from canary.plan.model import Phase, Plan, Step
from canary.rollout.events import Cause
from canary.rollout.features import recovered
from canary.rollout.halts import FeatureOff
from canary.rollout.measure import stale_after
from canary.rollout.state import State

RAISE_TRIES = 3
LOOK_EVERY = 300.0
"""Seconds of plan time between two rounds of checks in staging."""
SETTLES = 10.0
"""Seconds after a feature was seen off until what is measured is evidence: every reader of a flag has it by then, and
requests that began before have ended."""


@dataclass(frozen=True, slots=True)
class Done:
    """The rollout has ended: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Preflight:
    pass


@dataclass(frozen=True, slots=True)
class StartPhase:
    phase: str


@dataclass(frozen=True, slots=True)
class Prepare:
    target: str


@dataclass(frozen=True, slots=True)
class AskApproval:
    phase: str
    roles: tuple[str, ...]
    due: float


@dataclass(frozen=True, slots=True)
class GrantApproval:
    """The plan's overlay grants it (a demo): said so in the journal."""

    role: str


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    missing: tuple[str, ...]
    due: float


@dataclass(frozen=True, slots=True)
class Raise:
    share: float


@dataclass(frozen=True, slots=True)
class StartSoak:
    phase: str
    due: float


@dataclass(frozen=True, slots=True)
class Look:
    """One round over the checks of the phase."""

    round: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Measure, judge, look at the targets; then wait for the next block."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    at: float


@dataclass(frozen=True, slots=True)
class Extend:
    due: float
    reason: str


@dataclass(frozen=True, slots=True)
class StartHold:
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class ChooseFeature:
    """A person wants this feature off, and nothing else."""

    feature: str
    why: str


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The feature's target does not show it off yet."""

    target: str
    flag: str


@dataclass(frozen=True, slots=True)
class HoldWithout:
    """The candidate has recovered without the feature: it stays where it is until a person decides."""

    feature: str
    detail: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class PassPhase:
    phase: str
    reason: str
    overridden_by: str | None = None


@dataclass(frozen=True, slots=True)
class RollBack:
    """Send exposure 0 to all targets, at once."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class FinishRollback:
    """Exposure 0 is sent: see to it that every target shows it."""


@dataclass(frozen=True, slots=True)
class Close:
    """Everybody has the candidate: the next step of the closing."""

    step: Step


@dataclass(frozen=True, slots=True)
class Promote:
    """Every phase has passed, and the closing is done."""


Action = (
    Done
    | Preflight
    | StartPhase
    | Prepare
    | AskApproval
    | GrantApproval
    | AwaitApproval
    | Raise
    | StartSoak
    | Look
    | Tick
    | WaitUntil
    | Extend
    | StartHold
    | ChooseFeature
    | SwitchOff
    | HoldWithout
    | PassPhase
    | RollBack
    | FinishRollback
    | Close
    | Promote
)


def decide(plan: Plan, state: State, now: float) -> Action:
    """What to do next; `now` in unix seconds."""
    if state.ended:
        return Done()
    if state.rollback:
        return FinishRollback()
    if state.stop:
        return RollBack("abort", f"{state.stop.kind} by {state.stop.by}: {state.stop.reason}")
    if not state.release:
        return Preflight()
    phase = next((p for p in plan.phases if p.name not in state.passed), None)
    if phase is None:
        step = next((step for step in plan.closing if step not in state.closed), None)
        return Close(step) if step else Promote()
    if state.phase != phase.name:
        return StartPhase(phase.name)
    return _approval(plan, phase, state, now) or _in_phase(plan, phase, state, now)


def _approval(plan: Plan, phase: Phase, state: State, now: float) -> Action | None:
    """None once everybody who must has said yes."""
    if phase.approval is None:
        return None
    if state.rejected:
        return RollBack("approval", f"go-live was rejected by {state.rejected}")
    asked = state.approval
    if asked is None:
        due = now + plan.seconds(phase.approval.within)
        return AskApproval(phase.name, tuple(phase.approval.by), due)
    if not asked.missing:
        return None
    if _failed(state):
        return RollBack("fail", _reason(state))
    if now >= asked.due:
        return RollBack("approval", f"no approval by {', '.join(asked.missing)} in time")
    if state.asked and not state.shown:
        return _ask_for(plan, state.asked, state, now)
    if plan.grant_approvals:
        return GrantApproval(asked.missing[0])
    return AwaitApproval(asked.missing, asked.due)


def _in_phase(plan: Plan, phase: Phase, state: State, now: float) -> Action:
    if phase.exposure == 0:
        return _staging(plan, phase, state, now)
    if (off := state.recovering) and (action := _recovering(plan, off, state, now)):
        return action
    if state.asked != phase.exposure or not state.shown:
        return _ask_for(plan, phase.exposure, state, now)
    asked = state.feature_asked
    if asked and asked.feature in plan.features and plan.switch_of(asked.feature):
        return ChooseFeature(asked.feature, f"{asked.by}: {asked.reason}")
    if phase.duration is None:
        return PassPhase(phase.name, f"every target shows {phase.exposure:.0%}")
    if state.soaking != phase.name:
        return StartSoak(phase.name, now + plan.seconds(phase.duration))
    return _soak(plan, phase, state, now)


def _recovering(plan: Plan, off: FeatureOff, state: State, now: float) -> Action | None:
    """None once every target has shown the feature off: then what it has brought can be measured, and a target that
    drifts is put right as ever."""
    if now >= off.at + plan.rollback.within:
        unshown = f"nothing has shown within {plan.rollback.within:.0f} s that this helped"
        return RollBack("fail", f"{off.feature} was switched off, and {unshown}: {off.why}")
    if off.seen_at is None:
        return SwitchOff(off.target, off.flag)
    return WaitUntil(off.seen_at + SETTLES) if now < off.seen_at + SETTLES else None


def _ask_for(plan: Plan, share: float, state: State, now: float) -> Action:
    settles = max(KINDS[kind_of(spec.use)].settles for spec in plan.targets.values())
    if state.tries >= RAISE_TRIES and now >= state.asked_since + settles:
        return RollBack("platform", f"the targets did not take {share:.0%}: {_unshown(state)}")
    return Raise(share)


def _staging(plan: Plan, phase: Phase, state: State, now: float) -> Action:
    """Exposure 0: the candidate is prepared, then its checks are looked at until the phase is due."""
    if state.unready:
        return RollBack("staging", f"the candidate never became ready: {state.unready}")
    waiting = [name for name in plan.targets if name not in state.prepared]
    if waiting:
        return Prepare(waiting[0])
    if state.soaking != phase.name:
        return StartSoak(phase.name, now + plan.seconds(phase.duration or 0.0))
    looks = state.looks
    next_look = min(looks.at + plan.seconds(LOOK_EVERY), state.due) if looks.round else now
    if now >= next_look and not (looks.round and looks.at >= state.due):
        return Look(looks.round + 1)
    if now < state.due:
        return WaitUntil(next_look)
    if looks.failing:
        return RollBack("staging", f"staging checks failed: {'; '.join(looks.failing)}")
    return PassPhase(phase.name, f"{looks.told} in {looks.round} rounds")


def _soak(plan: Plan, phase: Phase, state: State, now: float) -> Action:
    if _failed(state):
        return RollBack("fail", _reason(state))
    if off := state.recovering:
        return _without(off, recovered(plan, state, off), now + _hold_for(plan, phase))
    if state.override:
        return PassPhase(phase.name, state.override.reason, overridden_by=state.override.by)
    if state.extend_asked:
        due = max(now, state.due) + plan.seconds(state.extend_asked)
        return Extend(due, "a person asked for more time")
    if state.hold:
        return _hold(plan, phase, state, now)
    if now < state.due:
        return Tick()
    return _at_the_deadline(plan, phase, state, now)


def _without(off: FeatureOff, detail: str | None, until: float) -> Action:
    if detail is None:
        return Tick()
    return HoldWithout(off.feature, detail, until, f"{off.feature} was switched off, and that was enough: {detail}")


def _hold(plan: Plan, phase: Phase, state: State, now: float) -> Action:
    assert state.hold is not None
    until = state.hold.until
    if until is None:
        return StartHold(state.hold.since + _hold_for(plan, phase), state.hold.reason)
    if now >= until:
        return RollBack("undecided", f"nobody decided during the hold: {state.hold.reason}")
    return Tick()


def _at_the_deadline(plan: Plan, phase: Phase, state: State, now: float) -> Action:
    blind = _blind(plan, state, now)
    if blind and now - state.took_at <= stale_after(plan):
        # Nobody measured while the last conductor was gone: the new one looks itself first.
        return Tick()
    if blind:
        return RollBack("no evidence", f"no evidence: {blind}")
    if state.verdict is not None and state.verdict.outcome is Outcome.PASS:
        return PassPhase(phase.name, state.verdict.reason)
    unsure = phase.on_undecided
    reason = f"undecided after {phase.name}: {_reason(state)}"
    if unsure.extend and not state.extended:
        return Extend(now + plan.seconds(unsure.extend), reason)
    if unsure.then == "hold":
        return StartHold(now + _hold_for(plan, phase), reason)
    return RollBack("undecided", reason)


def _blind(plan: Plan, state: State, now: float) -> str | None:
    """Why there is no evidence to decide on, or None."""
    if state.blind_since is not None:
        return f"the metrics cannot be read since {now - state.blind_since:.0f} s ({state.blind_reason})"
    if state.verdict is None or state.sampled_at is None:
        return "nothing was measured"
    if now - state.sampled_at > stale_after(plan):
        return f"the last sample is {now - state.sampled_at:.0f} s old"
    if state.verdict.outcome is Outcome.NO_DATA:
        return state.verdict.reason
    return None


def _hold_for(plan: Plan, phase: Phase) -> float:
    return plan.seconds(phase.on_undecided.within)


def _failed(state: State) -> bool:
    return state.verdict is not None and state.verdict.outcome is Outcome.FAIL


def _reason(state: State) -> str:
    return state.verdict.reason if state.verdict else "nothing was measured"


def _unshown(state: State) -> str:
    return "; ".join(f"{name} {s.answer} ({s.detail})" for name, s in state.targets.items() if s.answer != "yes")
