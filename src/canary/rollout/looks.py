"""What the rounds of checks have shown so far, in a phase without users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Looks:
    """The rounds of checks in this phase; `last` holds each check's newest outcome and detail."""

    round: int = 0
    at: float = 0.0
    last: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def failing(self) -> tuple[str, ...]:
        good = ("passed", "skipped")
        return tuple(f"{name}: {detail}" for name, (outcome, detail) in self.last.items() if outcome not in good)

    @property
    def told(self) -> str:
        """How many checks passed; a skipped one has not."""
        outcomes = [outcome for outcome, _ in self.last.values()]
        skipped = f" and {outcomes.count('skipped')} were skipped" if "skipped" in outcomes else ""
        return f"{outcomes.count('passed')} checks passed{skipped}"
