"""A phase's criteria, triggers and checks as the rows of one table: value, limit, sample size, verdict."""

from __future__ import annotations

from canary.rollout.view import RuleRow, View

Row = dict[str, str]


def rows(seen: View) -> list[Row]:
    """What the phase was judged by so far; the checks when there are no users on the candidate."""
    return [_row(rule) for rule in seen.rules]


def _row(rule: RuleRow) -> Row:
    row = {
        "criterion": rule.rule,
        "value": rule.value,
        "limit": rule.limit,
        "samples": rule.samples,
        "verdict": rule.verdict,
    }
    return row if rule.kind == "check" else {**row, "over time": rule.over_time, "reason": rule.reason}
