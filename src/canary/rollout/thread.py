"""What a rollout's thread is told: one line per event, to be understood at night without looking elsewhere.

It leaves out what only a log needs, and adds what whoever reads it may have to do, and until when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import singledispatch

from canary.judge.verdict import Outcome, PhaseVerdict
from canary.plan.model import Plan
from canary.plan.units import duration, percent
from canary.rollout import events as e
from canary.rollout.state import State
from canary.rollout.words import say


def opening(plan: Plan, state: State) -> str:
    """The first line of a conductor: what begins, or that another process goes on."""
    if state.phase or state.rollback:
        where = "on the way back" if state.rollback else f"in {state.phase} at {percent(state.asked)}"
        return f"another conductor goes on from the journal (epoch {state.epoch}), {where}"
    phases = " → ".join(f"{phase.name} {percent(phase.exposure)}" for phase in plan.phases)
    release = f"{state.service} {state.stable_version} → {state.version}"
    return f"{release} started by {state.requested_by}, plan {plan.name}: {phases}"


def line(state: State, event: e.Event) -> str | None:
    """One line, or None for what the thread is not told."""
    return _line(event, state)


_MARKED = (e.PhaseStarted, e.ExposureObserved, e.HoldStarted, e.RollbackStarted, e.RolloutEnded)


def mark(state: State, event: e.Event) -> str | None:
    """The same line, for those events that dashboards are marked with: whatever changes what users get."""
    return line(state, event) if isinstance(event, _MARKED) else None


def mentions(plan: Plan, event: e.Event) -> tuple[str, ...]:
    """Slack's ids of the people whom the event asks, as far as the plan has them. Apart from the line, whose text may
    quote anything and mentions nobody."""
    if not isinstance(event, e.ApprovalAsked):
        return ()
    people = (plan.roles[role] for role in event.roles)
    return tuple(dict.fromkeys(person.slack for person in people if person.slack))


@singledispatch
def _line(event: e.Event, state: State) -> str | None:
    return say(state, event)


@_line.register
def _(event: e.PrepareObserved, state: State) -> str | None:
    return None if event.ready else say(state, event)


@_line.register
def _(event: e.ChecksLooked, state: State) -> str | None:
    """How many passed is said when the phase is over."""
    return say(state, event) if event.failed else None


@_line.register
def _(event: e.ExposureObserved, state: State) -> str | None:
    """On the way back the end says it."""
    if not event.verified:
        return say(state, event)
    share = f"{percent(event.share)} of users on {state.version}"
    return f"{state.phase}: every target shows {share}" if event.share else None


@_line.register
def _(event: e.RollbackVerified, state: State) -> None:
    """The end, which follows, says it."""


@_line.register
def _(event: e.Judged, state: State) -> str | None:
    """A FAIL is the reason of the rollback, whose line follows."""
    verdict = state.verdict
    if verdict is None or not event.changed or verdict.outcome is Outcome.FAIL:
        return None
    return f"{event.phase}: {verdict.outcome}, {verdict.reason}{_numbers(verdict)}"


@_line.register
def _(event: e.PhasePassed, state: State) -> str | None:
    """Of a phase that judged nothing, its exposure was the news."""
    if state.soaking != event.phase:
        return None
    return f"{say(state, event)}{_numbers(state.verdict) if state.verdict else ''}"


@_line.register
def _(event: e.ApprovalAsked, state: State) -> str:
    people = " and ".join(event.roles)
    how = f"canary approve {state.rollout} --role ROLE --reason …"
    return f"{event.phase} waits for the go-live by {people}, until {_at(event.due)}: {how}"


@_line.register
def _(event: e.HoldStarted, state: State) -> str:
    what = f"canary promote, resume, extend or abort {state.rollout}"
    where = f"{event.phase} at {percent(state.asked)}"
    return f"HELD in {where}: {event.reason}. Decide until {_at(event.until)}, or it rolls back: {what}"


@_line.register
def _(event: e.RollbackStarted, state: State) -> str:
    way = f"from {state.phase or 'preflight'} to {state.stable_version or 'what was there'}"
    return f"ROLLING BACK {way}: {event.reason}"


@_line.register
def _(event: e.RolloutEnded, state: State) -> str:
    if event.outcome == "promoted":
        took = duration(round(state.ended_at - state.started_at))
        return f"PROMOTED after {took}: everybody is on {state.service} {state.version}"
    if event.outcome != "rolled_back" or state.rollback is None:
        return f"{event.outcome.replace('_', ' ').upper()}: {event.reason}"
    took = duration(round(state.ended_at - state.rollback.started_at))
    met = f"users met {state.bad_requests:,.0f} bad requests"
    return f"ROLLED BACK, seen on every target {took} after it began; {met}: {event.reason}"


@_line.register
def _(event: e.Reviewed, state: State) -> str:
    when = f"{duration(event.offset)} after" if event.offset else "at"
    return f"review {when} full exposure: {' · '.join(event.lines)}"


def _numbers(verdict: PhaseVerdict) -> str:
    """Value, limit and sample size of each rule; what is not a PASS has them in its reason already."""
    return f": {'; '.join(v.reason for v in verdict.verdicts)}" if verdict.outcome is Outcome.PASS else ""


def _at(due: float) -> str:
    """A deadline's time of day, with the date: it may be tomorrow."""
    return f"{datetime.fromtimestamp(due, UTC):%d %b %H:%M} UTC"
