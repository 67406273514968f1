"""Frames → what was counted of each measure in each stage: the numbers behind every cell of the review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd

from canary.judge.block import Tally, plus
from canary.judge.evidence import Evidence
from canary.ports import Arm
from canary.review.frame import AFTER, ARMS, BESIDE, COUNTED, Frames


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
    return Sums({(stage, *key): each for key in frames.series for stage, each in _by_stage(frames, *key)})


def _by_stage(frames: Frames, measure: str, arm: str) -> Iterator[tuple[str, Sum]]:
    spans = frames.blocks["span"].to_numpy()
    for stage in (BESIDE, AFTER):
        if parts := list(frames.of(measure, arm, stage)):
            tally = reduce(plus, (_tally(part.columns, part.to_numpy()) for part in parts))
            yield stage, Sum(tally, float(sum(spans[part.index].sum() for part in parts)))


def grouped(parts: Iterable[pd.DataFrame], group_of: Any) -> dict[int, Tally]:
    """What a series counted in each group. group_of: each block's group, an integer that never falls."""
    found: dict[int, Tally] = {}
    for part in parts:
        values = part.to_numpy()
        groups, starts = np.unique(group_of[part.index], return_index=True)
        for group, (start, end) in zip(groups.tolist(), pairwise([*starts, len(values)]), strict=True):
            tally = _tally(part.columns, values[start:end])
            found[group] = plus(found[group], tally) if group in found else tally
    return found


def hours(frames: Frames, stage: str, measure: str, width: float = 3600.0) -> dict[int, Evidence]:
    """The stage's hours, counted from its first block → what the measure counted in each."""
    at, span = frames.blocks["at"].to_numpy(), frames.blocks["span"].to_numpy()
    parts = {arm: list(frames.of(measure, arm, stage)) for arm in ARMS}
    firsts = [part.index[0] for of_arm in parts.values() for part in of_arm]
    if not firsts:
        return {}
    # The hour in which a block's middle lies: its end may be the first moment of the next.
    hour = (at - span / 2 - (at - span)[min(firsts)]) // width
    tallies: dict[int, dict[Arm, Tally]] = {}
    for arm, of_arm in parts.items():
        for each, tally in grouped(of_arm, hour.astype(int)).items():
            tallies.setdefault(each, {})[cast(Arm, arm)] = tally
    return {each: Evidence({measure: tallies[each]}) for each in sorted(tallies)}


def _tally(columns: pd.Index, values: Any) -> Tally:
    """The sum of some rows of a frame."""
    total, bad, _, *counts = values.sum(axis=0).tolist()
    last = values[~np.isnan(values[:, 2]), 2]
    edges = columns[len(COUNTED) :].tolist()
    buckets = dict(sorted(zip(edges, counts, strict=True)))
    return Tally(total, bad, buckets, float(last[-1]) if len(last) else None)
