"""Traffic facts: requests a second, the bad share and the latency of the service as it is today."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from canary.errors import BadUsage, PlanError
from canary.judge.block import Tally
from canary.judge.power.latency import DEFAULT_EDGES, Counted, Latency, LogNormal
from canary.plan.model import Plan
from canary.plan.problems import Problem, choice, shaped
from canary.plan.signals import Measurable, Strict
from canary.plan.source import read
from canary.plan.units import Share

SHAPE = "a facts file is a YAML mapping such as: {rps: 100, error_rate: 0.2%, signals: {…}}"
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)")
_ENDLESS = ("+Inf", "inf")


def seconds(value: object) -> float:
    """Seconds of a text such as "40ms" or "1.5s". Raises ValueError."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not match or not float(match[1]):
        raise ValueError(f"{value!r} is no latency; valid values look like 40ms or 1.5s")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


Time = Annotated[float, PlainValidator(seconds), WithJsonSchema({"type": "string", "examples": ["40ms"]})]
PerSecond = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]


class SignalFacts(Strict):
    """What is known of one signal, or of one measure such as `http_errors on features`."""

    rps: PerSecond | None = None
    """Requests (or page views) a second, of both arms together."""
    error_rate: Share | None = None
    """The share of bad ones today."""
    p50: Time | None = None
    p95: Time | None = None
    """The latency today, as a log-normal distribution by these two quantiles."""
    edges: tuple[Time, ...] = DEFAULT_EDGES
    """The upper edges of the histogram's buckets, beside p50 and p95."""
    buckets: dict[str, float] = Field(default_factory=dict)
    """The latency today, as the histogram counted it: upper edge → requests at or below it, +Inf: all."""

    @model_validator(mode="after")
    def _one_latency(self) -> Self:
        if (self.p50 is None) != (self.p95 is None):
            raise ValueError("p50 and p95 belong together")
        if self.p50 is not None and self.p95 is not None and not self.p50 < self.p95:
            raise ValueError("p50 must be below p95")
        if self.buckets and self.p50 is not None:
            raise ValueError("the latency is given either as p50 and p95, or as buckets")
        if self.buckets:
            _counted(self.buckets)
        return self

    def latency(self) -> Latency | None:
        """None when nothing is known of it."""
        if self.buckets:
            return Counted(_counted(self.buckets))
        if self.p50 is None or self.p95 is None:
            return None
        return LogNormal(self.p50, self.p95, tuple(sorted(self.edges)))


def _counted(buckets: Mapping[str, float]) -> Tally:
    """Raises ValueError when they are no cumulative buckets."""
    totals = [count for edge, count in buckets.items() if edge in _ENDLESS]
    at = dict(sorted((seconds(edge), count) for edge, count in buckets.items() if edge not in _ENDLESS))
    counts = [*at.values(), *totals]
    if len(totals) != 1 or not at:
        raise ValueError("buckets need an edge such as 100ms, and +Inf with all requests")
    if not all(math.isfinite(count) and count >= 0 for count in counts) or counts != sorted(counts) or not totals[0]:
        raise ValueError("buckets count the requests at or below their edge, so that they rise up to +Inf")
    return Tally(totals[0], 0.0, at)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one measure; None: nothing. kind: what its signal is. narrowed: it was told of a wider measure
    than this."""

    kind: Measurable
    rps: float | None
    error_rate: float | None
    latency: Latency | None = None
    narrowed: bool = False


class Facts(Strict):
    """What is known of the service's traffic."""

    rps: PerSecond | None = None
    """Requests a second of the whole service, both arms together."""
    error_rate: Share | None = None
    """The share of bad ones today, for every counter of which nothing else is said."""
    signals: dict[str, SignalFacts] = Field(default_factory=dict)
    """By signal, or by measure: `http_errors`, `http_errors on features`."""

    def of(self, measure: str, kind: Measurable) -> Known:
        """The nearest that is known: of the measure, else of its signal, else of the service."""
        own, wide = self.signals.get(measure), self.signals.get(measure.partition(" on ")[0])
        told = [each for each in (own, wide) if each]
        rps = next((each.rps for each in told if each.rps is not None), self.rps)
        rate = next((each.error_rate for each in told if each.error_rate is not None), self.error_rate)
        latency = next((found for each in told if (found := each.latency())), None)
        return Known(kind, rps, rate, latency, narrowed=" on " in measure and (own is None or own.rps is None))


def read_facts(file: Path | None, given: Mapping[str, Any], plan: Plan) -> Facts:
    """The facts of a file, over which `given` (the same document's keys) wins.

    Raises BadUsage with everything that is wrong, each with its place where it has one.
    """
    try:
        source = read(file, SHAPE) if file else None
    except PlanError as error:
        raise _refused(list(error.problems)) from None
    body = _over(source.data if source else {}, given)
    facts, problems = shaped(Facts, json.dumps(body, default=str))
    found = [*problems, *(_unknown(facts, plan) if facts else ())]
    yaml = [f"{place}: {what}" for place, what in source.problems] if source else []
    located = [f"{place}: {what}" for place, what in source.located(found)] if source else [str(each) for each in found]
    if located or yaml or facts is None:
        raise _refused([*yaml, *located])
    return facts


def _refused(problems: list[str]) -> BadUsage:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "\n".join(f"  {problem}" for problem in problems)
    fix = "such as: --rps 100 --error-rate 0.2% --latency api_latency=40ms/90ms, or --facts FILE"
    return BadUsage(f"the traffic facts have {count}:\n{lines}", fix)


def _over(under: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """One document over another, mapping by mapping."""
    merged = dict(under)
    for key, value in given.items():
        beneath = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(beneath, Mapping)
        merged[key] = _over(beneath, value) if both and isinstance(beneath, Mapping) else value
    return merged


def _unknown(facts: Facts, plan: Plan) -> Iterator[Problem]:
    valid = {**plan.signals, **{measure: None for phase in plan.phases for measure in plan.judged(phase)}}
    for name in facts.signals:
        if name not in valid:
            yield Problem(("signals", name), f"no signal of the plan; {choice(name, valid)}", at_key=True)
