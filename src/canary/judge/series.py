"""Raw series, as Prometheus has them → increments per scrape, signal and arm.

The trap of the first 5xx: client libraries create `requests{status="500"}` only when the first 500 happens, so
its first sample is 1, not 0, and a plain difference never sees it. A series that first appears where its target
(the label `instance`, or else the arm) had another series of the same signal at an earlier scrape was born in
between: it counts from 0. The first series of a target that was never seen before add nothing, because their
values may be as old as the process. A caller that knows better (the target was read and had no such series) says
so by giving the series a first sample of 0 at that earlier scrape.

For this to work the caller gives all series of a signal's metrics (not only those that its `where` selects), and
all of them collected over the same time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from canary.errors import SelectorError
from canary.ports import Arm, Increment, Scrape

if TYPE_CHECKING:
    from canary.plan.model import Arms, Signal

Sample = tuple[float, float]
GAUGE_KEPT = 120.0
"""Seconds for which a series' last value stays in its gauge's sum: instances are scraped at different times."""


@dataclass(frozen=True, slots=True)
class Series:
    """One counter series: its name as exposed (x_total, x_bucket), labels, samples (unix seconds, value)."""

    name: str
    labels: Mapping[str, str]
    samples: tuple[Sample, ...]

    @property
    def skipped(self) -> int:
        """How many samples no counter can have (NaN, infinite, negative); `increments` passes over them."""
        return sum(not _countable(sample) for sample in self.samples)

    def steps(self, since: float, until: float, born: bool) -> Iterator[Sample]:
        """(at, increment) of each usable sample with since < at ≤ until. `born`: the first counts from 0."""
        first_counts = born and bool(self.samples) and _countable(self.samples[0])
        before: Sample | None = (-math.inf, 0.0) if first_counts else None
        for at, value in filter(_countable, self.samples):
            if before is not None and at <= before[0]:
                continue
            if since < at <= until:
                yield at, _risen(before[1], value) if before else 0.0
            before = (at, value)


def increments(
    series: Iterable[Series], signals: Mapping[str, Signal], arms: Arms, since: float, until: float
) -> list[Scrape]:
    """Increments of the scrapes with since < at ≤ until, oldest first: what `Metrics.read` answers.

    The last sample at or before `since` is the base when it is given. A counter that falls has restarted: its
    new value is the increment. Duplicate and late samples are dropped; instances scraped at different times make
    scrapes of their own. Buckets get their edges in seconds, without +Inf. Raises SelectorError when one series
    matches both arms.
    """
    every = list(series)
    sums: dict[float, dict[str, dict[Arm, _Sum]]] = {}
    for name, signal in signals.items():
        named = _of_signal(every, signal, arms)
        if signal.gauge:
            for at, arm, value in _values(signal, named, since, until):
                sums.setdefault(at, {}).setdefault(name, {}).setdefault(arm, _Sum()).last = value
            continue
        for one, arm, born in _births(named):
            part = _part(signal, one)
            if part is None:
                continue
            for at, step in one.steps(since, until, born):
                sums.setdefault(at, {}).setdefault(name, {}).setdefault(arm, _Sum()).add(part, step)
    return [Scrape(at, {name: _frozen(by_arm) for name, by_arm in sums[at].items()}) for at in sorted(sums)]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one series adds to: the total, the bad ones, or the bucket up to `edge` seconds."""

    total: bool = False
    bad: bool = False
    edge: float | None = None


@dataclass(slots=True)
class _Sum:
    total: float = 0.0
    bad: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    last: float | None = None

    def add(self, part: _Part, step: float) -> None:
        self.total += step if part.total else 0.0
        self.bad += step if part.bad else 0.0
        if part.edge is not None:
            self.buckets[part.edge] = self.buckets.get(part.edge, 0.0) + step


def _frozen(by_arm: Mapping[Arm, _Sum]) -> dict[Arm, Increment]:
    return {arm: Increment(s.total, s.bad, dict(sorted(s.buckets.items())), s.last) for arm, s in by_arm.items()}


def _countable(sample: Sample) -> bool:
    return math.isfinite(sample[0]) and math.isfinite(sample[1]) and sample[1] >= 0


def _risen(before: float, now: float) -> float:
    return now - before if now >= before else now


def _names(signal: Signal) -> frozenset[str]:
    """The series that make up a signal (in Prometheus's format a histogram is _bucket, _count and _sum)."""
    if signal.histogram:
        return frozenset({f"{signal.histogram}_bucket", f"{signal.histogram}_count"})
    return frozenset(name for name in (signal.counter, signal.of, signal.gauge) if name)


def _values(
    signal: Signal, named: Sequence[tuple[Series, Arm]], since: float, until: float
) -> Iterator[tuple[float, Arm, float]]:
    """(at, arm, value) of a gauge at each of its samples: the sum of each series' newest value by then."""
    of_arm: dict[Arm, list[tuple[float, int, float]]] = {}
    for number, (one, arm) in enumerate(named):
        if _matches(one, signal.where):
            of_arm.setdefault(arm, []).extend((at, number, value) for at, value in filter(_countable, one.samples))
    for arm, samples in of_arm.items():
        newest: dict[int, Sample] = {}
        samples.sort()
        for at, same in groupby(samples, key=itemgetter(0)):
            newest.update({number: (at, value) for _, number, value in same})
            if since < at <= until:
                yield at, arm, sum(value for seen, value in newest.values() if at - seen <= GAUGE_KEPT)


def _of_signal(every: Sequence[Series], signal: Signal, arms: Arms) -> list[tuple[Series, Arm]]:
    names = _names(signal)
    found = ((one, _arm(one, arms)) for one in every if one.name in names and one.samples)
    return [(one, arm) for one, arm in found if arm]


def _arm(series: Series, arms: Arms) -> Arm | None:
    canary, baseline = (
        all(series.labels.get(label, "") == value for label, value in selector.items())
        for selector in (arms.canary, arms.baseline)
    )
    if canary and baseline:
        raise SelectorError(
            # Its other labels are not told: an application may repeat there what it was sent.
            f"a series of {series.name} matches both arms: canary {dict(arms.canary)} and "
            f"baseline {dict(arms.baseline)}",
            "give `arms` in the plan label values that differ between the candidate and the stable version",
        )
    return "canary" if canary else "baseline" if baseline else None


def _births(named: Sequence[tuple[Series, Arm]]) -> Iterator[tuple[Series, Arm, bool]]:
    """Each series, and whether its target had been seen before the series first appeared."""
    seen: dict[str, float] = {}
    for one, arm in named:
        target = one.labels.get("instance") or arm
        seen[target] = min(one.samples[0][0], seen.get(target, math.inf))
    for one, arm in named:
        yield one, arm, seen[one.labels.get("instance") or arm] < one.samples[0][0]


def _part(signal: Signal, series: Series) -> _Part | None:
    """What the series counts for this signal; None when `where` leaves it out."""
    if not _matches(series, signal.where):
        return None
    if signal.histogram:
        return _histogram_part(signal, series)
    if signal.of:
        return _Part(total=series.name == signal.of, bad=series.name == signal.counter)
    return _Part(total=True, bad=bool(signal.bad) and _matches(series, signal.bad))


def _histogram_part(signal: Signal, series: Series) -> _Part | None:
    if series.name.endswith("_count"):
        return _Part(total=True)
    try:
        edge = float(series.labels.get("le", ""))
    except ValueError:
        return None
    return _Part(edge=edge / 1000 if signal.unit == "ms" else edge) if math.isfinite(edge) else None


def _matches(series: Series, patterns: Mapping[str, str]) -> bool:
    """Anchored, as in Prometheus: the whole value, and a missing label is the empty string."""
    return all(re.fullmatch(pattern, series.labels.get(label, "")) for label, pattern in patterns.items())
