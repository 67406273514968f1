"""Journal → pandas: what every block counted, as columns. A line of any length of time is one block."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from canary.ports import Entry

ARMS = ("canary", "baseline")
BESIDE, AFTER = "beside", "after"
"""While both versions had users, and since everybody has the candidate."""
COUNTED = ["total", "bad", "last"]
Edges = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """All that was measured. Everything is in the order of time, so that a stage is a range of rows.

    blocks:  a row per block: at (unix seconds, its end), span (seconds it covers), held (whether it holds any measure),
             bad (bad events that users of the candidate met, of the judged measure that saw most).
    series:  (measure, arm) → a frame for each set of bucket edges that it had, one as a rule. Its index is the row in
             `blocks`; columns: total, bad, last (NaN for what is no gauge), then a column of counts for each edge.
    full_at: when every target showed everybody on the candidate, or None.
    """

    blocks: pd.DataFrame
    series: Mapping[tuple[str, str], tuple[pd.DataFrame, ...]]
    full_at: float | None

    def until(self, at: float) -> Frames:
        """What was measured by then."""
        return Frames(self.blocks.iloc[: self.blocks["at"].searchsorted(at, side="right")], self.series, self.full_at)

    def rows(self, stage: str) -> slice:
        """The rows of `blocks` that lie in a stage."""
        full = np.inf if self.full_at is None else self.full_at
        split = int(self.blocks["at"].searchsorted(full, side="right"))
        return slice(0, split) if stage == BESIDE else slice(split, len(self.blocks))

    def of(self, measure: str, arm: str, stage: str | None = None) -> Iterator[pd.DataFrame]:
        """What a series counted in a stage, or by the end of `blocks`: frames as in `series`, none of them empty."""
        rows = self.rows(stage) if stage else slice(0, len(self.blocks))
        for frame in self.series.get((measure, arm), ()):
            begin, end = frame.index.searchsorted([rows.start, rows.stop])
            if begin < end:
                yield frame.iloc[begin:end]

    @property
    def bad_met(self) -> float:
        """Bad requests and errors that users of the candidate met: in each block those of the judged measure that
        saw most, since narrowed measures count the same ones again."""
        return float(self.blocks["bad"].sum())

    def covered(self, stage: str) -> float:
        """Seconds of a stage that blocks span, however many measures they hold."""
        rows = self.blocks.iloc[self.rows(stage)]
        return float(rows["span"][rows["held"]].sum())


def _everybody(data: Mapping[str, Any]) -> bool:
    return data["share"] == 1 and all(shown["answer"] == "yes" for shown in data["targets"].values())


def _floats() -> array[float]:
    return array("d")


def _numbers() -> array[int]:
    return array("i")


@dataclass(slots=True)
class _Part:
    """The blocks in which a series had the same edges: `values` holds 3 + edges numbers a block."""

    blocks: array[int] = field(default_factory=_numbers)
    values: array[float] = field(default_factory=_floats)

    def frame(self, edges: Edges) -> pd.DataFrame:
        values = np.frombuffer(self.values).reshape(len(self.blocks), -1)
        index = pd.Index(np.frombuffer(self.blocks, dtype=np.intc))
        return pd.DataFrame(values, index, pd.Index([*COUNTED, *edges], dtype=object), copy=False)


@dataclass(slots=True, repr=False)
class Columns:
    """Columns as they grow, line by line: packed numbers, since a day of blocks holds millions.

    full_at: see Frames. newest: the newest block's time, 0 before the first. It has no repr of its own: asyncio.run
    makes one of whatever it returns, and this one would take as long as the reading.
    """

    full_at: float | None = None
    newest: float = 0.0
    _since: float = 0.0
    _at: array[float] = field(default_factory=_floats)
    _span: array[float] = field(default_factory=_floats)
    _held: array[int] = field(default_factory=_numbers)
    _bad: array[float] = field(default_factory=_floats)
    _parts: dict[tuple[str, str, Edges], _Part] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """The journal's next line."""
        if entry.type == "sampled":
            self._block(entry.data["block"])
        elif entry.type == "watched":
            self._since = max(self._since, entry.data["block"]["at"] - entry.data["seconds"])
            self._block(entry.data["block"])
        elif entry.type == "soak_started":
            self._since = max(self._since, entry.at)
        elif entry.type == "exposure_observed" and self.full_at is None and _everybody(entry.data):
            self.full_at = entry.at

    def _block(self, block: Mapping[str, Any]) -> None:
        """One that is not newer than the one before is a repetition, or a clock that was set back, and left out: it
        would count the same time twice."""
        at = block["at"]
        if at <= self.newest:
            return
        judged, watched = block["increments"], block.get("watched", {})
        held = [self._measured(len(self._at), measured) for measured in (judged, watched)]
        self._bad.append(max((by_arm["canary"]["bad"] for by_arm in judged.values() if "canary" in by_arm), default=0))
        self._held.append(any(held))
        self._span.append(at - max(self.newest, self._since))
        self._at.append(at)
        self.newest = at

    def _measured(self, block: int, measured: Mapping[str, Any]) -> bool:
        """Whether there was anything."""
        for measure, by_arm in measured.items():
            for arm, found in by_arm.items():
                edges, counts = zip(*found["buckets"], strict=True) if found["buckets"] else ((), ())
                part = self._parts.get((measure, arm, edges))
                if part is None:
                    part = self._parts[measure, arm, edges] = _Part()
                part.blocks.append(block)
                part.values.extend((found["total"], found["bad"], found.get("last", np.nan), *counts))
        return any(measured.values())

    def frames(self) -> Frames:
        """All columns so far; nothing can be added afterwards."""
        series: dict[tuple[str, str], list[pd.DataFrame]] = {}
        for (measure, arm, edges), part in self._parts.items():
            series.setdefault((measure, arm), []).append(part.frame(edges))
        columns = {"at": self._at, "span": self._span, "bad": self._bad}
        blocks = pd.DataFrame({name: np.array(column, dtype=float) for name, column in columns.items()})
        blocks["held"] = np.array(self._held, dtype=bool)
        return Frames(blocks, {key: tuple(parts) for key, parts in series.items()}, self.full_at)
