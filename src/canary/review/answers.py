"""What a source that is no metric said: a survey's scores, tickets, feature requests."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass

NAMED = 3
"""Broken rows that are named one by one; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Answers:
    """values: what was said, numbers or texts, never both. broken: what could not be read, each with its place.
    old: how many were said before the release had everybody, and do not count."""

    values: tuple[float, ...] | tuple[str, ...]
    broken: tuple[str, ...] = ()
    old: int = 0

    @property
    def mean(self) -> float | None:
        """None without a number."""
        numbers = [value for value in self.values if isinstance(value, float)]
        return statistics.fmean(numbers) if numbers else None

    def most_said(self, number: int) -> list[tuple[str, int]]:
        """The texts said most often, with how often; equal ones in alphabetical order."""
        counted = Counter(value for value in self.values if isinstance(value, str))
        return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:number]

    @property
    def left_out(self) -> str:
        """What does not count, and why; "" when everything does."""
        parts = [f"{self.old} from before full exposure left out"] if self.old else []
        if self.broken:
            more = f" and {len(self.broken) - NAMED} more" if len(self.broken) > NAMED else ""
            parts.append(f"{len(self.broken)} broken: {'; '.join(self.broken[:NAMED])}{more}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Unread:
    """A source that is configured and could not be read at all."""

    why: str


Read = Answers | Unread
