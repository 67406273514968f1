"""What each event changes: journal lines folded into a state, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatch

from canary.judge.evidence import Block, Evidence
from canary.judge.verdict import PhaseVerdict
from canary.ports import Entry
from canary.rollout import events as e
from canary.rollout.halts import Approval, Asked, FeatureOff, Hold, Rollback, Stop
from canary.rollout.looks import Looks
from canary.rollout.parts import Identities
from canary.rollout.state import State


def fold(state: State, entries: Iterable[Entry]) -> State:
    """The state after these lines; those at or before `state.seq` are passed over. Raises JournalError."""
    for entry in entries:
        if entry.seq > state.seq:
            _, state = read(state, entry)
    return state


def read(state: State, entry: Entry) -> tuple[e.Event, State]:
    """What the next line says, and the state after it. Raises JournalError."""
    event = e.parse(entry)
    try:
        return event, apply(event, state, entry.at).changed(seq=entry.seq)
    except Exception as error:
        # Blocks and verdicts check themselves, each in its own words.
        raise e.not_understood(entry) from error


@singledispatch
def apply(event: e.Event, state: State, at: float) -> State:
    """One event's effect. Events that only tell (prepare intents, check rows, posts) change nothing."""
    del event, at
    return state


@apply.register
def _(event: e.RolloutStarted, state: State, at: float) -> State:
    return state.changed(
        plan_hash=event.plan_hash,
        service=event.service,
        version=event.version,
        requested_by=event.requested_by,
        started_at=at,
        flow_run=event.flow_run,
    )


@apply.register
def _(event: e.ConductorTook, state: State, at: float) -> State:
    return state.changed(epoch=event.epoch, took_at=at, takeovers=state.takeovers + (1 if state.epoch else 0))


@apply.register
def _(event: e.ConductorAsked, state: State, at: float) -> State:
    return state.changed(asked_run=Asked(event.attempt, event.epoch, at))


@apply.register
def _(event: e.PreflightPassed, state: State, at: float) -> State:
    return state.changed(release=event.release, stable_version=event.stable_version, former=event.former)


@apply.register
def _(event: e.PhaseStarted, state: State, at: float) -> State:
    return state.changed(
        phase=event.phase,
        phase_since=at,
        approval=None,
        looks=Looks(),
        extended=False,
        extend_asked=0.0,
        hold=None,
        override=None,
        tries=0,
    )


@apply.register
def _(event: e.PrepareObserved, state: State, at: float) -> State:
    if not event.ready:
        return state.changed(unready=f"{event.target}: {event.detail}")
    return state.changed(prepared=state.prepared | {event.target}, unready=None)


@apply.register
def _(event: e.CheckObserved, state: State, at: float) -> State:
    last = {**state.looks.last, event.name: (event.outcome, event.detail)}
    skipped = [event.name] if event.outcome == "skipped" else []
    all_skipped = tuple(dict.fromkeys([*state.skipped, *skipped]))
    return state.changed(looks=replace(state.looks, last=last), skipped=all_skipped)


@apply.register
def _(event: e.ChecksLooked, state: State, at: float) -> State:
    return state.changed(looks=replace(state.looks, round=event.round, at=at))


@apply.register
def _(event: e.ApprovalAsked, state: State, at: float) -> State:
    return state.changed(approval=Approval(event.roles, event.subject, event.due))


@apply.register
def _(event: e.ApprovalGiven, state: State, at: float) -> State:
    """Counts for its subject alone, and in time: a conductor may have been away at the deadline."""
    asked = state.approval
    if asked is None or asked.subject != event.subject or event.role not in asked.roles or at > asked.due:
        return state
    return state.changed(approval=replace(asked, given={**asked.given, event.role: event.by}))


@apply.register
def _(event: e.ApprovalRejected, state: State, at: float) -> State:
    return state.changed(rejected=f"{event.by} ({event.role}): {event.reason}")


@apply.register
def _(event: e.ExposureIntended, state: State, at: float) -> State:
    return state.changed(
        asked=event.share,
        shown=False,
        raise_open=state.raise_open or event.share > 0,
        tries=state.tries + 1,
        asked_since=state.asked_since if state.tries and state.asked == event.share else at,
    )


@apply.register
def _(event: e.ExposureObserved, state: State, at: float) -> State:
    targets = {**state.targets, **event.targets}
    if not event.verified:
        return state.changed(targets=targets)
    # Only a raise that was seen at its first try cannot land any more: an observed 0 says nothing about one on its way.
    landed = event.share > 0 and state.tries == 1
    off = state.feature_off
    return state.changed(
        targets=targets,
        feature_off=replace(off, seen_at=off.seen_at or at) if off else None,
        shown=True,
        raise_open=state.raise_open and not landed,
        tries=0,
        exposed=event.share,
        exposed_phase=state.phase,
    )


@apply.register
def _(event: e.ExposureDrifted, state: State, at: float) -> State:
    return state.changed(targets={**state.targets, **event.targets}, shown=False)


@apply.register
def _(event: e.SoakStarted, state: State, at: float) -> State:
    return state.changed(
        soaking=event.phase,
        due=event.due,
        evidence=state.evidence.next_phase() if state.soaking else Evidence(),
        verdict=None,
        sampled_at=at,
        blind_since=None,
        soak_since=at,
    )


@apply.register
def _(event: e.Sampled, state: State, at: float) -> State:
    # What is only watched moves no state, and there is much of it: the review alone reads it.
    block = Block.from_data({**event.block, "watched": {}})
    evidence = state.evidence.add(block)
    if evidence is state.evidence:
        # A repetition: spooled, although its append was stored and only the answer lost.
        return state
    return state.changed(
        evidence=evidence,
        sampled_at=block.at,
        bad_requests=state.bad_requests + block.bad_served,
    )


@apply.register
def _(event: e.MeasurementFailed, state: State, at: float) -> State:
    return state.changed(blind_since=state.blind_since or at, blind_reason=event.reason)


@apply.register
def _(event: e.MeasurementBack, state: State, at: float) -> State:
    return state.changed(blind_since=None, blind_reason="")


@apply.register
def _(event: e.Judged, state: State, at: float) -> State:
    return state.changed(verdict=PhaseVerdict.from_data(event.verdict))


@apply.register
def _(event: e.FeatureOffIntended, state: State, at: float) -> State:
    """From here on the candidate is another one: what was measured of the former is no evidence about it."""
    stable = state.release[event.target].stable
    without = Identities(candidate=event.candidate, stable=stable)
    off = FeatureOff(event.feature, event.flag, event.target, event.why, event.measure, event.rate, at)
    return state.changed(
        release={**state.release, event.target: without},
        feature_asked=None,
        feature_off=off,
        features_off=(*state.features_off, event.feature),
        shown=False,
        soaking="",
        verdict=None,
        hold=None,
        override=None,
        extended=False,
    )


@apply.register
def _(event: e.FeatureRecovered, state: State, at: float) -> State:
    off = state.feature_off
    return state.changed(feature_off=replace(off, recovered=True) if off else None)


@apply.register
def _(event: e.FeatureOffAsked, state: State, at: float) -> State:
    return state if event.feature in state.features_off else state.changed(feature_asked=event)


@apply.register
def _(event: e.PhaseExtended, state: State, at: float) -> State:
    by_the_plan = not state.extend_asked
    return state.changed(due=event.due, extended=state.extended or by_the_plan, extend_asked=0.0, hold=None)


@apply.register
def _(event: e.HoldStarted, state: State, at: float) -> State:
    return state.changed(hold=Hold(at, event.until, event.reason))


@apply.register
def _(event: e.PhasePassed, state: State, at: float) -> State:
    by_hand = (event.phase,) if event.overridden_by else ()
    canary = state.soaking == event.phase and 0 < state.asked < 1
    return state.changed(
        passed=(*state.passed, event.phase),
        overridden=(*state.overridden, *by_hand),
        hold=None,
        override=None,
        canary_seconds=state.canary_seconds + (at - state.soak_since if canary else 0.0),
    )


@apply.register
def _(event: e.Watched | e.WatchBlind, state: State, at: float) -> State:
    state = state.changed(watched=state.watched | {event.number}, watch_bad=event.bad)
    if isinstance(event, e.WatchBlind):
        return state
    return state.changed(watched_at=float(event.block["at"]), alerts=event.alerts)


@apply.register
def _(event: e.ClosingDone, state: State, at: float) -> State:
    return state.changed(closed={**state.closed, event.step: event})


@apply.register
def _(event: e.AbortAsked, state: State, at: float) -> State:
    return _stop(state, Stop(event.by, event.reason, "abort"))


@apply.register
def _(event: e.RollbackAsked, state: State, at: float) -> State:
    return _stop(state, Stop(event.by, event.reason, "rollback"))


def _stop(state: State, stop: Stop) -> State:
    """Sticky, and the first one counts. At full exposure it opens the promoted rollout again."""
    reopened = None if state.ended and state.ended.outcome == "promoted" else state.ended
    return state.changed(stop=state.stop or stop, ended=reopened)


@apply.register
def _(event: e.HoldAsked, state: State, at: float) -> State:
    return state.changed(hold=state.hold or Hold(at, None, f"{event.by}: {event.reason}"))


@apply.register
def _(event: e.ResumeAsked, state: State, at: float) -> State:
    """Fresh evidence: the soak of the phase starts anew."""
    if state.hold is None:
        return state
    return state.changed(hold=None, soaking="", extended=False, override=None)


@apply.register
def _(event: e.PromoteAsked, state: State, at: float) -> State:
    return state.changed(override=event)


@apply.register
def _(event: e.ExtendAsked, state: State, at: float) -> State:
    return state.changed(extend_asked=event.seconds)


@apply.register
def _(event: e.PageAcknowledged, state: State, at: float) -> State:
    return state.changed(acknowledged_at=at)


@apply.register
def _(event: e.RollbackStarted, state: State, at: float) -> State:
    return state.changed(rollback=state.rollback or Rollback(event.cause, event.reason, at), hold=None)


@apply.register
def _(event: e.RollbackVerified, state: State, at: float) -> State:
    rollback = replace(_rollback(state, at), verified=True)
    return state.changed(targets={**state.targets, **event.targets}, rollback=rollback)


@apply.register
def _(event: e.RollbackUnverified, state: State, at: float) -> State:
    rollback = _rollback(state, at)
    rollback = replace(rollback, unverified_at=rollback.unverified_at or at)
    return state.changed(targets={**state.targets, **event.targets}, rollback=rollback)


def _rollback(state: State, at: float) -> Rollback:
    """Its start may wait in the spool of a machine that is gone: what was seen is told all the same."""
    return state.rollback or Rollback("conductor", "the line that says why was not journaled", at)


@apply.register
def _(event: e.RolloutEnded, state: State, at: float) -> State:
    return state.changed(ended=event, ended_at=at)


@apply.register
def _(event: e.Paged, state: State, at: float) -> State:
    return state.changed(paged={**state.paged, event.incident: at})


@apply.register
def _(event: e.ThreadStarted, state: State, at: float) -> State:
    return state.changed(threads={**state.threads, event.route: event.ref})


@apply.register
def _(event: e.ReviewDue, state: State, at: float) -> State:
    return state.changed(reviews={**state.reviews, event.offset: event.due})


@apply.register
def _(event: e.Reviewed, state: State, at: float) -> State:
    return state.changed(reviewed={**state.reviewed, event.offset: event.lines})
