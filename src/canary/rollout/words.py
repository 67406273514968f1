"""Events → the sentence that people read, in a terminal, a thread or a log."""

from __future__ import annotations

from functools import singledispatch

from canary.judge.verdict import PhaseVerdict
from canary.rollout import events as e
from canary.rollout.state import State


def say(state: State, event: e.Event) -> str | None:
    """One sentence, or None for a line that nobody needs to be told of."""
    return _say(event, state)


@singledispatch
def _say(event: e.Event, state: State) -> str | None:
    del event, state
    return None


@_say.register
def _(event: e.RolloutStarted, state: State) -> str:
    return f"rollout of {event.service} {event.version} started by {event.requested_by} ({event.how})"


@_say.register
def _(event: e.ConductorTook, state: State) -> str | None:
    return f"conductor {event.holder} took over (epoch {event.epoch})" if state.takeovers else None


@_say.register
def _(event: e.ConductorAsked, state: State) -> str:
    return f"the conductor is gone (its lease ran out): Prefect is asked for another run, attempt {event.attempt}"


@_say.register
def _(event: e.ChecklistObserved, state: State) -> str:
    proof = f", sha256 {event.sha256[:12]}" if event.sha256 else ""
    return f"checklist: {event.item}: {event.outcome} ({event.detail}{proof})"


@_say.register
def _(event: e.PreflightPassed, state: State) -> str:
    targets = ", ".join(event.release)
    return f"preflight passed: {targets} answer, {event.stable_version} is the way back, credentials are sealed"


@_say.register
def _(event: e.PhaseStarted, state: State) -> str:
    return f"phase {event.phase} started"


@_say.register
def _(event: e.PrepareObserved, state: State) -> str:
    return f"{event.target}: candidate {'is ready at exposure 0' if event.ready else 'is not ready'} ({event.detail})"


@_say.register
def _(event: e.ChecksLooked, state: State) -> str:
    failed = f", failed: {', '.join(event.failed)}" if event.failed else ""
    return f"{event.phase}: round {event.round}, {event.passed} checks passed{failed}"


@_say.register
def _(event: e.ApprovalAsked, state: State) -> str:
    return f"go-live for {event.phase} waits for {' and '.join(event.roles)}"


@_say.register
def _(event: e.ApprovalGiven, state: State) -> str:
    return f"approved by {event.by} as {event.role} ({event.how}{'' if event.proven else ', identity unproven'})"


@_say.register
def _(event: e.ApprovalRejected, state: State) -> str:
    return f"rejected by {event.by} as {event.role}: {event.reason}"


@_say.register
def _(event: e.ExposureObserved, state: State) -> str:
    if event.verified:
        return f"every target shows exposure {event.share:.0%}"
    off = "; ".join(f"{n} {s.answer} ({s.detail})" for n, s in event.targets.items() if s.answer != "yes")
    return f"exposure {event.share:.0%} is not shown everywhere: {off}"


@_say.register
def _(event: e.ExposureDrifted, state: State) -> str:
    off = "; ".join(f"{n}: {s.detail}" for n, s in event.targets.items())
    return f"exposure drifted from {event.asked:.0%}: {off}"


@_say.register
def _(event: e.Judged, state: State) -> str | None:
    if state.verdict is None or not event.changed:
        return None
    return f"{event.phase}: {state.verdict.outcome}, {state.verdict.reason}"


@_say.register
def _(event: e.MeasurementFailed, state: State) -> str:
    return f"the metrics cannot be read, which is neither good nor bad: {event.reason}"


@_say.register
def _(event: e.MeasurementBack, state: State) -> str:
    return f"the metrics are back after {event.blind_seconds:.0f} s"


@_say.register
def _(event: e.EvidenceGap, state: State) -> str:
    return f"nobody conducted: of {event.until - event.since:.0f} s there is no measurement, and none is made up"


@_say.register
def _(event: e.SamplesDiffer, state: State) -> str:
    return (
        f"the metrics tell {len(event.blocks)} of the {event.compared} blocks before the restart otherwise than when "
        "they were new; what is in the journal counts"
    )


@_say.register
def _(event: e.FeatureOffIntended, state: State) -> str:
    return f"SWITCHING OFF {event.feature} alone ({event.flag} on {event.target}): {event.why}"


@_say.register
def _(event: e.FeatureRecovered, state: State) -> str:
    return f"without {event.feature} it has recovered: {event.detail}"


@_say.register
def _(event: e.PhaseExtended, state: State) -> str:
    return f"{event.phase} is extended: {event.reason}"


@_say.register
def _(event: e.HoldStarted, state: State) -> str:
    return f"HELD in {event.phase}, a person must decide: {event.reason}"


@_say.register
def _(event: e.PhasePassed, state: State) -> str:
    by = f", overridden by {event.overridden_by}" if event.overridden_by else ""
    return f"{event.phase} passed{by}: {event.reason}"


@_say.register
def _(event: e.Decision, state: State) -> str:
    return f"{event.type.removesuffix('_asked').replace('_', ' ')} asked by {event.by}: {event.reason}"


@_say.register
def _(event: e.PageAcknowledged, state: State) -> str:
    return f"{event.by} looks after the page: {event.reason}"


@_say.register
def _(event: e.ClosingDone, state: State) -> str:
    return f"{event.step}: {'' if event.ok else 'NOT done, '}{event.detail}"


@_say.register
def _(event: e.Watched, state: State) -> str:
    verdict = PhaseVerdict.from_data(event.verdict)
    more = "".join(f"; {each}" for each in (*event.past, *(alert.words(verdict.reason) for alert in event.alerts)))
    return f"watch {event.number}: {verdict.outcome}, {verdict.reason} ({event.seconds:.0f} s seen){more}"


@_say.register
def _(event: e.WatchBlind, state: State) -> str:
    return f"watch {event.number} saw nothing: {event.reason}"


@_say.register
def _(event: e.RollbackStarted, state: State) -> str:
    return f"ROLLING BACK: {event.reason}"


@_say.register
def _(event: e.RollbackVerified, state: State) -> str:
    return "rolled back: every target shows exposure 0"


@_say.register
def _(event: e.RollbackUnverified, state: State) -> str:
    off = "; ".join(f"{n}: {s.detail}" for n, s in event.targets.items())
    return f"the rollback is NOT verified after {event.waited_seconds:.0f} s: {off}"


@_say.register
def _(event: e.RolloutEnded, state: State) -> str:
    return f"{event.outcome.replace('_', ' ')}: {event.reason}"


@_say.register
def _(event: e.Reviewed, state: State) -> str:
    return "review: " + " · ".join(event.lines)
