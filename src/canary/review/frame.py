"""Journal → pandas: what every block counted, in long form. A line of any length of time is one block."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from canary.ports import Entry

ARMS = ("canary", "baseline")
BESIDE, AFTER = "beside", "after"
"""While both versions had users, and since everybody has the candidate."""


@dataclass(frozen=True, slots=True)
class Frames:
    """All that was measured.

    counted: a row per block, measure and arm: at (unix seconds, the block's end), span (seconds it covers), stage
             (BESIDE, AFTER), measure, arm, total, bad, last (NaN for what is no gauge).
             judged: whether verdicts could rest on it.
    buckets: a row per block, measure, arm and edge: block (its index in `ends`), stage, measure, arm, edge, count.
    ends:    every block's end, unix seconds, rising.
    full_at: when every target showed everybody on the candidate, or None.
    """

    counted: pd.DataFrame
    buckets: pd.DataFrame
    ends: Any
    full_at: float | None

    def until(self, at: float) -> Frames:
        """What was measured by then."""
        ends = self.ends[self.ends <= at]
        if len(ends) == len(self.ends):
            return self
        counted, buckets = self.counted[self.counted["at"] <= at], self.buckets[self.buckets["block"] < len(ends)]
        return Frames(counted, buckets, ends, self.full_at)

    @property
    def bad_met(self) -> float:
        """Bad requests and errors that users of the candidate met: in each block those of the judged measure that
        saw most, since narrowed measures count the same ones again."""
        rows = self.counted[self.counted["judged"] & (self.counted["arm"] == "canary")]
        return float(rows.groupby("at")["bad"].max().sum())

    def covered(self, stage: str) -> float:
        """Seconds of a stage that blocks span, however many measures they hold."""
        rows = self.counted[self.counted["stage"] == stage]
        return float(rows.drop_duplicates("at")["span"].sum())


def frames(entries: Iterable[Entry]) -> Frames:
    """From a rollout's lines. A block that is not newer than the one before is a repetition, or a clock that was set
    back, and left out: it would count the same time twice."""
    rows = _Rows()
    for entry in entries:
        if entry.type == "sampled":
            rows.add(entry.data["block"])
        elif entry.type == "watched":
            rows.since = max(rows.since, entry.data["block"]["at"] - entry.data["seconds"])
            rows.add(entry.data["block"])
        elif entry.type == "soak_started":
            rows.since = max(rows.since, entry.at)
        elif entry.type == "exposure_observed" and rows.full_at is None and _everybody(entry.data):
            rows.full_at = entry.at
    return rows.frames()


def full_at(entries: Iterable[Entry]) -> float | None:
    """When every target first showed everybody on the candidate, or None."""
    return next((e.at for e in entries if e.type == "exposure_observed" and _everybody(e.data)), None)


def _everybody(data: Mapping[str, Any]) -> bool:
    return data["share"] == 1 and all(shown["answer"] == "yes" for shown in data["targets"].values())


def _floats() -> array[float]:
    return array("d")


def _codes() -> array[int]:
    return array("i")


@dataclass(slots=True)
class _Rows:
    """Columns as they grow: packed numbers, since a day of blocks holds millions."""

    since: float = 0.0
    newest: float = 0.0
    full_at: float | None = None
    names: dict[str, int] = field(default_factory=dict)
    block_at: array[float] = field(default_factory=_floats)
    block_span: array[float] = field(default_factory=_floats)
    judged: array[int] = field(default_factory=_codes)
    block: array[int] = field(default_factory=_codes)
    series: array[int] = field(default_factory=_codes)
    numbers: array[float] = field(default_factory=_floats)
    of_row: array[int] = field(default_factory=_codes)
    edges: dict[float, int] = field(default_factory=dict)
    edge: array[int] = field(default_factory=_codes)
    counts: array[float] = field(default_factory=_floats)

    def add(self, block: Mapping[str, Any]) -> None:
        at = block["at"]
        if at <= self.newest:
            return
        self.block_at.append(at)
        self.block_span.append(at - max(self.newest, self.since))
        self.newest = at
        for judged, measured in ((1, block["increments"]), (0, block.get("watched", {}))):
            for measure, by_arm in measured.items():
                code = 2 * self.names.setdefault(measure, len(self.names))
                for arm, found in by_arm.items():
                    self.judged.append(judged)
                    self._row(code + (arm == "baseline"), found)

    def _row(self, series: int, found: Mapping[str, Any]) -> None:
        self.block.append(len(self.block_at) - 1)
        self.series.append(series)
        self.numbers.extend((found["total"], found["bad"], found.get("last", np.nan)))
        if edges := found["buckets"]:
            self.of_row.extend([len(self.block) - 1] * len(edges))
            known = self.edges
            for edge, count in edges:
                self.edge.append(known.setdefault(edge, len(known)))
                self.counts.append(count)

    def frames(self) -> Frames:
        block, series, of_row = (np.asarray(a, dtype=np.int32) for a in (self.block, self.series, self.of_row))
        at, span = np.asarray(self.block_at), np.asarray(self.block_span)
        numbers = np.asarray(self.numbers).reshape(-1, 3)
        after = (at > (np.inf if self.full_at is None else self.full_at)).astype(np.int8)
        columns = {"total": numbers[:, 0], "bad": numbers[:, 1], "last": numbers[:, 2]}
        judged = np.asarray(self.judged, dtype=bool)
        about = self._about(after[block], series)
        counted = pd.DataFrame({"at": at[block], "span": span[block], "judged": judged, **about, **columns})
        edge = pd.Categorical.from_codes(np.asarray(self.edge, dtype=np.int32), list(self.edges))
        about = self._about(after[block[of_row]], series[of_row])
        buckets = pd.DataFrame({"block": block[of_row], **about, "edge": edge, "count": np.asarray(self.counts)})
        return Frames(counted, buckets, at, self.full_at)

    def _about(self, after: Any, series: Any) -> dict[str, Any]:
        """The columns that say what a row is about."""
        return {
            "stage": pd.Categorical.from_codes(after, [BESIDE, AFTER]),
            "measure": pd.Categorical.from_codes(series // 2, list(self.names)),
            "arm": pd.Categorical.from_codes((series % 2).astype(np.int8), list(ARMS)),
        }
