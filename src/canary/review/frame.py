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
    buckets: a row per block, measure, arm and edge: at, stage, measure, arm, edge, count.
    full_at: when every target showed everybody on the candidate, or None.
    """

    counted: pd.DataFrame
    buckets: pd.DataFrame
    full_at: float | None

    def until(self, at: float) -> Frames:
        """What was measured by then."""
        counted, buckets = (frame[frame["at"] <= at] for frame in (self.counted, self.buckets))
        return Frames(counted, buckets, self.full_at)

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
    block: array[int] = field(default_factory=_codes)
    series: array[int] = field(default_factory=_codes)
    numbers: array[float] = field(default_factory=_floats)
    of_row: array[int] = field(default_factory=_codes)
    pairs: array[float] = field(default_factory=_floats)

    def add(self, block: Mapping[str, Any]) -> None:
        at = block["at"]
        if at <= self.newest:
            return
        self.block_at.append(at)
        self.block_span.append(at - max(self.newest, self.since))
        self.newest = at
        for measured in (block["increments"], block.get("watched", {})):
            for measure, by_arm in measured.items():
                code = 2 * self.names.setdefault(measure, len(self.names))
                for arm, found in by_arm.items():
                    self._row(code + (arm == "baseline"), found)

    def _row(self, series: int, found: Mapping[str, Any]) -> None:
        self.block.append(len(self.block_at) - 1)
        self.series.append(series)
        self.numbers.extend((found["total"], found["bad"], found.get("last", np.nan)))
        if edges := found["buckets"]:
            self.of_row.extend([len(self.block) - 1] * len(edges))
            for pair in edges:
                self.pairs.extend(pair)

    def frames(self) -> Frames:
        block, series, of_row = (np.asarray(a, dtype=np.int32) for a in (self.block, self.series, self.of_row))
        at, span = np.asarray(self.block_at), np.asarray(self.block_span)
        numbers, pairs = np.asarray(self.numbers).reshape(-1, 3), np.asarray(self.pairs).reshape(-1, 2)
        about = self._about(at[block], series)
        counted = pd.DataFrame(
            {**about, "span": span[block], "total": numbers[:, 0], "bad": numbers[:, 1], "last": numbers[:, 2]}
        )
        of_bucket = self._about(at[block[of_row]], series[of_row])
        buckets = pd.DataFrame({**of_bucket, "edge": pairs[:, 0], "count": pairs[:, 1]})
        return Frames(counted, buckets, self.full_at)

    def _about(self, at: Any, series: Any) -> dict[str, Any]:
        """The columns that say what a row is about."""
        full = np.inf if self.full_at is None else self.full_at
        return {
            "at": at,
            "stage": pd.Categorical.from_codes((at > full).astype(np.int8), [BESIDE, AFTER]),
            "measure": pd.Categorical.from_codes(series // 2, list(self.names)),
            "arm": pd.Categorical.from_codes((series % 2).astype(np.int8), list(ARMS)),
        }
