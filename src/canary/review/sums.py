"""Frames → what was counted of each measure in each stage: the numbers behind every cell of the review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from canary.judge.block import Tally
from canary.judge.evidence import Evidence
from canary.ports import Arm
from canary.review.frame import Frames

KEYS = ["stage", "measure", "arm"]


@dataclass(frozen=True, slots=True)
class Sum:
    """tally: everything counted, and of a gauge its newest value; seconds: how long that was measured."""

    tally: Tally
    seconds: float


@dataclass(frozen=True, slots=True)
class Sums:
    """(stage, measure, arm) → sum; what never matched is absent."""

    of: Mapping[tuple[str, str, str], Sum]

    def get(self, stage: str, measure: str | None, arm: Arm) -> Sum | None:
        """None when nothing ever matched."""
        return self.of.get((stage, measure or "", arm))

    def evidence(self, stage: str, measure: str) -> Evidence:
        """What a judge needs to say its verdict on one measure over a stage."""
        found: dict[Arm, Tally] = {}
        for (at, name, arm), each in self.of.items():
            if (at, name) == (stage, measure):
                found[cast(Arm, arm)] = each.tally
        return Evidence({measure: found})


def sums(frames: Frames) -> Sums:
    """Over all blocks of the frames."""
    buckets = _buckets(frames.buckets, KEYS)
    grouped = frames.counted.groupby(KEYS, observed=True, sort=False)
    added = grouped.agg(total=("total", "sum"), bad=("bad", "sum"), last=("last", "last"), span=("span", "sum"))
    found = {}
    for row in added.itertuples():
        last = None if pd.isna(row.last) else float(row.last)
        tally = Tally(float(row.total), float(row.bad), buckets.get(row.Index, {}), last)
        found[row.Index] = Sum(tally, float(row.span))
    return Sums(found)


def hours(frames: Frames, stage: str, measure: str, width: float = 3600.0) -> dict[int, Evidence]:
    """The stage's hours, counted from its first block → what the measure counted in each."""
    rows, edges = (f[(f["stage"] == stage) & (f["measure"] == measure)] for f in (frames.counted, frames.buckets))
    if rows.empty:
        return {}
    first = float((rows["at"] - rows["span"]).min())
    # The hour in which a block's middle lies: its end may be the first moment of the next.
    rows = rows.assign(hour=((rows["at"] - rows["span"] / 2 - first) // width).astype(int))
    of_end = dict(zip(rows["at"], rows["hour"], strict=True))
    edges = edges.assign(hour=[of_end[frames.ends[block]] for block in edges["block"]])
    buckets = _buckets(edges, ["hour", "arm"])
    added = rows.groupby(["hour", "arm"], observed=True, sort=True)[["total", "bad"]].sum()
    tallies: dict[int, dict[Arm, Tally]] = {}
    for (hour, arm), row in added.iterrows():
        counts = buckets.get((hour, arm), {})
        tallies.setdefault(int(hour), {})[arm] = Tally(float(row["total"]), float(row["bad"]), counts)
    return {hour: Evidence({measure: by_arm}) for hour, by_arm in tallies.items()}


def _buckets(frame: pd.DataFrame, keys: list[str]) -> dict[Any, dict[float, float]]:
    """Key → edge → count."""
    found: dict[Any, dict[float, float]] = {}
    for index, count in frame.groupby([*keys, "edge"], observed=True, sort=False)["count"].sum().items():
        found.setdefault(index[:-1], {})[float(index[-1])] = float(count)
    return {key: dict(sorted(edges.items())) for key, edges in found.items()}
