"""What the plots show: p95 and error rate over time, both arms. A time without a measurement is a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from canary.judge.block import Tally
from canary.judge.buckets import quantile_of, whole
from canary.plan.model import Plan
from canary.review.frame import ARMS, Frames
from canary.review.shown import latency_measures

POINTS = 60
"""Of a line, at most; more cannot be told apart on a phone."""
CURVES = 4
ARM_NAMES = {"canary": "candidate", "baseline": "baseline"}


@dataclass(frozen=True, slots=True)
class Curve:
    """lines: arm → [(unix seconds, value or None for a gap)]; unit: "seconds" or "share"."""

    title: str
    unit: str
    lines: Mapping[str, list[tuple[float, float | None]]]


def curves(plan: Plan, frames: Frames) -> tuple[Curve, ...]:
    """The traffic's errors, then the p95 of what is judged; those that have anything to show."""
    if frames.counted.empty:
        return ()
    judged = [rule.measure for phase in plan.phases for rule in (*phase.criteria, *phase.triggers)]
    latencies = [measure for measure in latency_measures(plan) if measure in judged]
    every = [_rate(frames, plan.traffic), *(_p95(frames, measure) for measure in latencies[: CURVES - 1])]
    return tuple(curve for curve in every if any(curve.lines.values()))


def _rate(frames: Frames, measure: str) -> Curve:
    rows = _binned(frames.counted, frames, measure)
    lines = {}
    for arm in ARMS:
        sums = rows[rows["arm"] == arm].groupby("bin")[["total", "bad"]].sum()
        shares = {int(at): row["bad"] / row["total"] for at, row in sums.iterrows() if row["total"]}
        lines[ARM_NAMES[arm]] = _line(frames, shares)
    return Curve(f"{measure.replace('_', ' ')}: share of requests", "share", lines)


def _p95(frames: Frames, measure: str) -> Curve:
    counted = _binned(frames.counted, frames, measure)
    ours = frames.buckets[frames.buckets["measure"] == measure]
    edges = ours.assign(bin=_bins(frames.ends[ours["block"]], frames))
    lines = {}
    for arm in ARMS:
        totals = counted[counted["arm"] == arm].groupby("bin")["total"].sum()
        by_edge = edges[edges["arm"] == arm].groupby(["bin", "edge"], observed=True)["count"].sum()
        values = {}
        for at, total in totals.items():
            if total and at in by_edge.index:
                counts = {float(edge): float(count) for edge, count in by_edge[at].items()}
                place = quantile_of(whole(Tally(float(total), 0.0, counts)), 0.95)
                if place:
                    values[int(at)] = place.last if place.value is None else place.value
        lines[ARM_NAMES[arm]] = _line(frames, values)
    return Curve(f"{measure.replace('_', ' ')}: p95", "seconds", lines)


def _width(frames: Frames) -> tuple[float, float]:
    """(first, seconds of a bin)."""
    first, last = float(frames.ends[0]), float(frames.ends[-1])
    return first, max((last - first) / POINTS, 1e-3)


def _binned(frame: pd.DataFrame, frames: Frames, measure: str) -> pd.DataFrame:
    rows = frame[frame["measure"] == measure]
    return rows.assign(bin=_bins(rows["at"].to_numpy(), frames))


def _bins(at: Any, frames: Frames) -> Any:
    """The bin of each time."""
    first, width = _width(frames)
    return ((at - first) // width).clip(max=POINTS - 1).astype(int)


def _line(frames: Frames, values: Mapping[int, float]) -> list[tuple[float, float | None]]:
    if not values:
        return []
    first, width = _width(frames)
    return [(first + (at + 0.5) * width, values.get(at)) for at in range(min(values), max(values) + 1)]
