"""What a dashboard of a plan shows: rows of panels, each with a few lines in PromQL. Knows no dashboard's format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from canary.boards import promql
from canary.boards.promql import Over
from canary.plan.model import KeyMetric, OfBaseline, Plan, Rule, Signal
from canary.plan.rules import OF_COUNTERS, OfQuantile

WINDOW = "$__rate_interval"
"""Grafana's own: at least four scrapes, however far one zooms in."""
BEFORE = "1w"
"""What "before" is: the same hour of the same weekday."""
Unit = Literal["percentunit", "s", "short", "reqps"]


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: how the legend calls it, and its expression."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on one pair of axes. unit: as Grafana calls it. limits: where a rule of the plan draws its line."""

    title: str
    unit: Unit
    lines: tuple[Line, ...]
    limits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is drawn of a signal. of: a gauge of which it is a part."""

    signal: Signal
    shows: str
    of: Signal | None = None

    @property
    def unit(self) -> Unit:
        if self.shows == "share":
            return "percentunit"
        if self.shows == "per_second":
            return "reqps"
        if self.shows.startswith("p") and self.shows != "per_hour":
            return "percentunit" if self.signal.unit == "ratio" else "s"
        return "short"

    def expr(self, over: Over) -> str:
        match self.shows:
            case "share" if self.of:
                return f"{promql.last(self.signal, over)} / {promql.last(self.of, over)}"
            case "share":
                return promql.share(self.signal, over)
            case "last":
                return promql.last(self.signal, over)
            case "per_second":
                return promql.per_second(self.signal, over)
            case "per_hour":
                return f"3600 * {promql.per_second(self.signal, over)}"
        return promql.quantile(self.signal, float(self.shows[1:]) / 100, over)


def rows(plan: Plan) -> Iterator[tuple[str, Sequence[Panel]]]:
    """Title and panels of each row, from what decides to what is only watched."""
    judged = [(_title(measure, shown), shown, limits) for measure, shown, limits in _judged(plan)]
    traffic = _Shown(plan.signals[plan.traffic], "per_second")
    beside = [Panel(title, shown.unit, _arms(plan, shown), limits) for title, shown, limits in judged]
    yield "Canary beside baseline", [Panel("Requests", traffic.unit, _arms(plan, traffic)), *beside]
    yield "Before and after", [Panel(title, shown.unit, _times(shown), limits) for title, shown, limits in judged]
    for group, metrics in plan.key_metrics.items():
        yield group.replace("_", " ").capitalize(), [_watched(plan, metric) for metric in metrics]


def _watched(plan: Plan, metric: KeyMetric) -> Panel:
    shown = _Shown(plan.signals[metric.signal], metric.shows, plan.signals[metric.of] if metric.of else None)
    return Panel(metric.name, shown.unit, _arms(plan, shown))


def _arms(plan: Plan, shown: _Shown) -> tuple[Line, ...]:
    arms = plan.arms.resolve("${candidate}", "${stable}")
    return (
        Line("candidate ${candidate}", shown.expr(Over(WINDOW, arms.canary))),
        Line("stable ${stable}", shown.expr(Over(WINDOW, arms.baseline))),
    )


def _times(shown: _Shown) -> tuple[Line, ...]:
    return (Line("now", shown.expr(Over(WINDOW))), Line("a week before", shown.expr(Over(WINDOW, ago=BEFORE))))


def _judged(plan: Plan) -> Iterator[tuple[str, _Shown, tuple[float, ...]]]:
    """Each measure of a rule, once for each thing that rules say of it, and their limits."""
    found: dict[tuple[str, str], tuple[_Shown, list[float]]] = {}
    for phase in plan.phases:
        signals = plan.measures(phase)
        for rule in (*phase.criteria, *phase.triggers):
            shown = _Shown(signals[rule.measure], _shows(rule, signals[rule.measure]))
            limits = found.setdefault((rule.measure, shown.shows), (shown, []))[1]
            if (limit := getattr(rule, "limit", None)) is not None:
                limits.append(limit)
    for (measure, _), (shown, limits) in found.items():
        yield measure, shown, tuple(dict.fromkeys(limits))


def _shows(rule: Rule, signal: Signal) -> str:
    if isinstance(rule, OF_COUNTERS) or signal.counter:
        return "share"
    if signal.gauge:
        return "last"
    if isinstance(rule, OfQuantile | OfBaseline) and rule.quantile:
        return f"p{rule.quantile * 100:g}"
    return "p95"


def _title(measure: str, shown: _Shown) -> str:
    return f"{measure}: {'share of bad ones' if shown.shows == 'share' else shown.shows}"
