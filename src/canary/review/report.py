"""The report after a rollout, in the three lines that matter."""

from __future__ import annotations

from canary.rollout.state import State


def three_lines(state: State, offset: float) -> tuple[str, str, str]:
    """What was done, what it was judged by, what users met; `offset` in seconds after full exposure."""
    return (_done(state, offset), _judged(state), _met(state))


def _done(state: State, offset: float) -> str:
    outcome = state.ended.outcome.replace("_", " ") if state.ended else "at full exposure"
    when = f"{offset:.0f} s after full exposure" if offset else "at full exposure"
    took = f" in {state.ended_at - state.started_at:.0f} s" if state.ended else ""
    return f"{state.service} {state.version}: {outcome}{took}, phases passed: {_phases(state)} ({when})"


def _phases(state: State) -> str:
    return ", ".join(state.passed) or "none"


def _judged(state: State) -> str:
    if state.verdict is None:
        return "no verdict was reached"
    return f"last verdict: {state.verdict.outcome}, {state.verdict.reason}"


def _met(state: State) -> str:
    return f"bad responses and errors that the canary's users met while it was judged: {state.bad_requests:.0f}"
