"""What the plots show: p95 and error rate over time, both arms. A time without a measurement is a gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from canary.judge.block import Tally
from canary.judge.buckets import quantile_of, whole
from canary.plan.model import Plan
from canary.review.frame import ARMS, Frames
from canary.review.shown import latency_measures
from canary.review.sums import grouped

POINTS = 60
"""Of a line, at most; more cannot be told apart on a phone."""
CURVES = 4
Point = tuple[float, float | None]
ARM_NAMES = {"canary": "candidate", "baseline": "baseline"}


@dataclass(frozen=True, slots=True)
class Curve:
    """lines: arm → [(unix seconds, value or None for a gap)]; unit: "seconds" or "share"."""

    title: str
    unit: str
    lines: Mapping[str, list[Point]]


def curves(plan: Plan, frames: Frames) -> tuple[Curve, ...]:
    """The traffic's errors, then the p95 of what is judged; those that have anything to show."""
    if frames.blocks.empty:
        return ()
    judged = [rule.measure for phase in plan.phases for rule in (*phase.criteria, *phase.triggers)]
    latencies = [measure for measure in latency_measures(plan) if measure in judged]
    every = [_rate(frames, plan.traffic), *(_p95(frames, measure) for measure in latencies[: CURVES - 1])]
    return tuple(curve for curve in every if any(curve.lines.values()))


def _rate(frames: Frames, measure: str) -> Curve:
    lines = _lines(frames, measure, lambda tally: tally.bad / tally.total if tally.total else None)
    return Curve(f"{measure.replace('_', ' ')}: share of requests", "share", lines)


def _p95(frames: Frames, measure: str) -> Curve:
    return Curve(f"{measure.replace('_', ' ')}: p95", "seconds", _lines(frames, measure, _p95_of))


def _p95_of(tally: Tally) -> float | None:
    # Buckets without a total are no requests.
    place = quantile_of(whole(tally), 0.95) if tally.total else None
    if place is None:
        return None
    return place.last if place.value is None else place.value


def _lines(frames: Frames, measure: str, value: Callable[[Tally], float | None]) -> dict[str, list[Point]]:
    """Each arm's line: the value of what was counted within each bin of time."""
    bins = _bins(frames)
    of_arm = {arm: grouped(frames.of(measure, arm), bins) for arm in ARMS}
    return {
        ARM_NAMES[arm]: _line(frames, {at: shown for at, tally in found.items() if (shown := value(tally)) is not None})
        for arm, found in of_arm.items()
    }


def _width(frames: Frames) -> tuple[float, float]:
    """(first, seconds of a bin)."""
    first, last = frames.blocks["at"].iloc[[0, -1]].tolist()
    return first, max((last - first) / POINTS, 1e-3)


def _bins(frames: Frames) -> Any:
    """The bin of each block."""
    first, width = _width(frames)
    return ((frames.blocks["at"].to_numpy() - first) // width).clip(max=POINTS - 1).astype(int)


def _line(frames: Frames, values: Mapping[int, float]) -> list[Point]:
    if not values:
        return []
    first, width = _width(frames)
    return [(first + (at + 0.5) * width, values.get(at)) for at in range(min(values), max(values) + 1)]
