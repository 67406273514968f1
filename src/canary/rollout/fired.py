"""Alerts of the plan that fired after full exposure: how the journal keeps them, and how people are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from canary.plan.watching import Severity


class FiredAlert(BaseModel):
    """One alert at one look. rule: its measure and its text; reason: what the look found, in one sentence.

    now: whether it fires by this look. Otherwise it fired at one before, and this one cannot tell.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    severity: Severity
    rule: str
    reason: str
    now: bool = True

    @property
    def name(self) -> str:
        """What it is called from look to look."""
        return f"{self.severity} alert {self.rule}"

    @property
    def wakes(self) -> bool:
        """Whether somebody must be woken for it."""
        return self.severity == "critical" and self.now

    def words(self, said: str = "") -> str:
        """One sentence. A reason that was `said` already is left out."""
        named = self.name if self.now else f"{self.name} fired before, and this look cannot tell"
        return named if self.reason in said else f"{named}: {self.reason}"


def changes(before: Sequence[FiredAlert], after: Sequence[FiredAlert]) -> str:
    """What began and what ended between two looks, "" when nothing did. Critical ones wake somebody instead."""
    return "; ".join(_changes(before, after))


def _changes(before: Sequence[FiredAlert], after: Sequence[FiredAlert]) -> Iterator[str]:
    then, now = ({each.name: each for each in alerts if each.severity != "critical"} for alerts in (before, after))
    yield from (f"fired: {alert.words()}" for name, alert in now.items() if name not in then)
    yield from (f"over: {name}" for name in then if name not in now)
