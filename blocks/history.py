"""What a scraper remembers: raw samples of the names it was asked for, for a while."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from canary.blocks.exposition import Read
from canary.judge.series import Sample, Series

KEPT_SECONDS = 300.0
"""How far back a read may ask. A conductor asks for what is new since its last tick."""

_Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(slots=True)
class History:
    """Samples per series, oldest first; scrapes come in with rising times."""

    _samples: dict[_Key, list[Sample]] = field(default_factory=dict)
    _looked: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(
        self, instance: str, at: float, names: Iterable[str], read: Iterable[Read], gauges: Set[str] = frozenset()
    ) -> None:
        """One scrape of one instance at unix seconds `at`: what it showed of those names.

        A series that was not there when this instance was last looked at for this name began at 0 then, unless it
        is a gauge's.
        """
        for name, labels, value in read:
            key = (name, frozenset(_with_instance(labels, instance).items()))
            if key not in self._samples:
                before = None if name in gauges else self._looked.get((instance, name))
                self._samples[key] = [] if before is None else [(before, 0.0)]
            self._samples[key].append((at, value))
        self._looked.update({(instance, name): at for name in names})
        self._forget(at - KEPT_SECONDS)

    def series(self, names: Iterable[str], since: float) -> Iterator[Series]:
        """The series of those names: samples after `since`, and the last one before as their base."""
        wanted = frozenset(names)
        for (name, labels), samples in self._samples.items():
            if name in wanted:
                first = max(0, bisect_right(samples, since, key=lambda sample: sample[0]) - 1)
                yield Series(name, dict(labels), tuple(samples[first:]))

    def _forget(self, before: float) -> None:
        for key, samples in list(self._samples.items()):
            if samples[-1][0] < before:
                del self._samples[key]
            elif samples[0][0] < before:
                del samples[: max(0, bisect_right(samples, before, key=lambda sample: sample[0]) - 1)]


def _with_instance(labels: Mapping[str, str], instance: str) -> dict[str, str]:
    """As Prometheus labels what it scrapes: the target's `instance` wins, the metric's own is renamed."""
    named = dict(labels)
    if "instance" in named:
        named["exported_instance"] = named.pop("instance")
    return {**named, "instance": instance}
