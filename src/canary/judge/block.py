"""A block: what was measured within 15 s of plan time. It is the journal's unit of evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from canary.errors import MeasurementFailed
from canary.ports import NOTHING, Arm, Increment, Scrape

Tally: TypeAlias = Increment
"""The increments of a whole phase, summed."""
Measured: TypeAlias = Mapping[str, Mapping[Arm, Increment]]
"""Measure → arm → increment."""
NONE = Tally(0.0)
COUNTABLE = 2.0**53
"""Above it a float no longer counts one by one."""


def plus(one: Increment, other: Increment) -> Increment:
    """Both together, the older one first; an edge that only one of them has counts 0 in the other."""
    edges = one.buckets.keys() | other.buckets.keys()
    buckets = {edge: one.buckets.get(edge, 0.0) + other.buckets.get(edge, 0.0) for edge in sorted(edges)}
    last = one.last if other.last is None else other.last
    return Increment(one.total + other.total, one.bad + other.bad, buckets, last)


@dataclass(frozen=True, slots=True)
class Block:
    """The sum of the scrapes within one block of 15 s of plan time, which ends at `at`.

    scrapes: how many there were; 0 when the metrics could not be read or matched nothing at all.
    share:   the canary's observed share of users, 0–1, or None when the target does not show it.
    routed:  arm → requests that the target sent to it within this block, or None when it does not count.
    watched: like increments, of what is shown in the review and never judged.
    Raises MeasurementFailed for a value that no counter or share can have.
    """

    at: float
    increments: Measured
    scrapes: int
    share: float | None = None
    routed: Mapping[Arm, float] | None = None
    watched: Measured = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        for measure, by_arm in (*self.increments.items(), *self.watched.items()):
            for arm, found in by_arm.items():
                for count in (found.total, found.bad, found.last or 0.0, *found.buckets.values(), *found.buckets):
                    _check(f"{measure} of the {arm}", count, COUNTABLE)
        for arm, sent in (self.routed or {}).items():
            _check(f"requests routed to the {arm}", sent, COUNTABLE)
        _check("the observed share", self.share or 0.0, 1.0)
        _check("the number of scrapes", self.scrapes, COUNTABLE)
        _check("the time of a block", self.at, COUNTABLE)

    @classmethod
    def of(
        cls,
        at: float,
        scrapes: Sequence[Scrape],
        share: float | None = None,
        routed: Mapping[Arm, float] | None = None,
        judged: Set[str] | None = None,
    ) -> Block:
        """The block that ends at `at` and holds these scrapes, oldest first.

        judged: the measures that verdicts rest on, all by default. What else a scrape holds is only watched, and a
        scrape that holds nothing else does not count as one.
        """
        sums: dict[str, dict[Arm, Increment]] = {}
        watched: dict[str, dict[Arm, Increment]] = {}
        for scrape in scrapes:
            for measure, by_arm in scrape.signals.items():
                own = sums if judged is None or measure in judged else watched
                gather(own.setdefault(measure, {}), by_arm)
        counted = [scrape for scrape in scrapes if judged is None or scrape.signals.keys() & judged]
        return cls(at, sums, len(counted), share, routed, watched)

    @property
    def bad_served(self) -> float:
        """Bad events that the canary's users met in this block: those of the measure that saw most.

        Not the sum: a measure that is narrowed to features counts the same events again.
        """
        return max((by_arm["canary"].bad for by_arm in self.increments.values() if "canary" in by_arm), default=0.0)

    def to_data(self) -> dict[str, Any]:
        """JSON data; `from_data` gives back an equal block."""
        return {
            "at": self.at,
            "increments": _measured_data(self.increments),
            "scrapes": self.scrapes,
            "share": self.share,
            "routed": None if self.routed is None else dict(self.routed),
            "watched": _measured_data(self.watched),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Block:
        """The block of `to_data`, also of a journal from before anything was watched."""
        increments, watched = _measured_from(data["increments"]), _measured_from(data.get("watched", {}))
        return cls(data["at"], increments, data["scrapes"], data["share"], data["routed"], watched)


def tally_data(tally: Tally) -> dict[str, Any]:
    """JSON data, exact: edges are numbers, so buckets are pairs. Only a gauge has `last`."""
    data = {"total": tally.total, "bad": tally.bad, "buckets": [[*pair] for pair in tally.buckets.items()]}
    return data if tally.last is None else {**data, "last": tally.last}


def tally_from(data: Mapping[str, Any]) -> Tally:
    """The tally of `tally_data`."""
    return Tally(data["total"], data["bad"], dict(data["buckets"]), data.get("last"))


def _measured_data(measured: Measured) -> dict[str, dict[Arm, dict[str, Any]]]:
    return {name: {arm: tally_data(found) for arm, found in by_arm.items()} for name, by_arm in measured.items()}


def _measured_from(data: Mapping[str, Mapping[Arm, Mapping[str, Any]]]) -> Measured:
    return {name: {arm: tally_from(found) for arm, found in by_arm.items()} for name, by_arm in data.items()}


def gather(sums: dict[Arm, Increment], by_arm: Mapping[Arm, Increment]) -> dict[Arm, Increment]:
    """Adds each arm's increment to `sums`, in place."""
    for arm, found in by_arm.items():
        sums[arm] = plus(sums[arm], found) if arm in sums else found
    return sums


def _check(what: str, value: float, most: float) -> None:
    if not (math.isfinite(value) and 0 <= value <= most):
        raise MeasurementFailed(
            f"{what} is {value}: it must lie between 0 and {most:g}",
            "look at the metric in its source: a counter and a share are finite and never negative",
        )
