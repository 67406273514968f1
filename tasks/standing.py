"""Where a rollout stands, in the words of the Prefect UI: a run's name, and what is written over its artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from canary.plan.units import percent
from canary.rollout.state import State
from canary.rollout.view import View


def step(state: State) -> str:
    """What is being done now: the second half of the run's name."""
    if state.ended:
        return state.ended.outcome.replace("_", " ")
    if state.rollback:
        return "rolling back"
    if state.hold:
        return f"{state.phase} {state.asked:.0%}, held"
    if state.approval and state.approval.missing:
        return f"{state.phase} waits for approval"
    return f"{state.phase or 'preflight'} {state.asked:.0%}"


def over_the_table(state: State) -> str:
    """Markdown: which release and phase, how many users, and what the judge says of the phase as a whole."""
    title = f"## {state.service} {state.version}: {state.phase}"
    if state.verdict is None:
        return f"{title}\n\nNo user is on the candidate: its checks, as an internal user sees them."
    return f"{title} at {state.asked:.0%}\n\n**{state.verdict.outcome}**: {state.verdict.reason}"


def under_the_title(seen: View) -> str:
    """Markdown: until when, what each target was asked for and shows, who approved, and what waits for a person."""
    return "\n".join(f"- {fact}" for fact in _facts(seen))


def _facts(seen: View) -> Iterator[str]:
    if seen.left:
        yield f"The {seen.left.of} lasts until {datetime.fromtimestamp(seen.left.ends_at, UTC):%Y-%m-%d %H:%M:%S} UTC."
    for row in seen.targets:
        observed = "has not shown any share" if row.observed is None else f"shows {percent(row.observed)}"
        yield f"{row.name}: asked for {percent(row.asked)}, {observed}."
    for yes in seen.approvals:
        proven = "" if yes.proven else ", identity unproven"
        yield f"{yes.phase} approved by {yes.by} as {yes.role} ({yes.how}{proven})."
    if seen.waits_for:
        yield f"Waits for {' and '.join(seen.waits_for)}."
    if seen.hold:
        yield f"**Held**, a person must decide: {seen.hold}"


def way_back(state: State) -> str:
    """Markdown: why the rollout went back, how far it had come, whether it is seen to be back, and where to look."""
    assert state.rollback is not None
    return (
        f"# {state.service} {state.version} was rolled back\n\n"
        f"**{state.rollback.reason}**\n\n"
        f"- It went back from phase {state.phase or 'preflight'} to {state.stable_version or 'what was there'}.\n"
        f"- {_seen(state)}\n"
        f"- Bad requests that the candidate served to users: {state.bad_requests:,.0f}.\n\n"
        f"Line by line: `canary journal {state.rollout}`"
    )


def _seen(state: State) -> str:
    assert state.rollback is not None
    if state.rollback.verified:
        return "Every target shows exposure 0: nobody is on the candidate."
    if state.rollback.unverified_at is None:
        return "Exposure 0 is being sent to every target."
    off = "; ".join(f"{name}: {shown.detail}" for name, shown in state.targets.items() if shown.answer != "yes")
    return f"NOT VERIFIED, somebody was paged: {off}."
