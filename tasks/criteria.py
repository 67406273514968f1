"""A phase's criteria, triggers and checks as the rows of one table: value, limit, sample size, verdict."""

from __future__ import annotations

from canary.judge.verdict import Verdict
from canary.rollout.state import State

Row = dict[str, str]


def rows(state: State) -> list[Row]:
    """What the phase was judged by so far; the checks when there are no users on the candidate."""
    if state.verdict is None:
        return [
            {"criterion": name, "value": detail, "limit": "", "samples": "", "verdict": outcome}
            for name, (outcome, detail) in state.looks.last.items()
        ]
    return [_row(verdict) for verdict in state.verdict.verdicts]


def _row(verdict: Verdict) -> Row:
    return {
        "criterion": f"{verdict.measure}: {verdict.rule}",
        "value": number(verdict.value, verdict.unit),
        "limit": number(verdict.limit, verdict.unit),
        "samples": f"{verdict.canary.total:,.0f}" if verdict.canary else "0",
        "verdict": str(verdict.outcome),
        "reason": verdict.reason,
    }


def number(value: float | None, unit: str) -> str:
    """A value with its unit, as people write it."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value:.2%}"
    if unit == "seconds":
        return f"{value * 1000:.0f} ms"
    return f"{value:,.0f}"
