"""Key metrics, KPIs and sources: that each names something, and asks of it what it can show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from canary.plan.model import Kpi, Plan
from canary.plan.problems import Path, Problem, choice
from canary.plan.signals import Signal

_SHOWN_OF = {
    "share": ("rate",),
    "per_hour": ("rate", "frequency"),
    "p50": ("times", "ratios"),
    "p95": ("times", "ratios"),
    "last": ("gauge",),
}


def watching(plan: Plan) -> Iterator[Problem]:
    """Everything that is watched and not judged; alerts are checked with the other rules."""
    for group, metrics in plan.key_metrics.items():
        for index, metric in enumerate(metrics):
            path: Path = ("key_metrics", group, index)
            yield from _named(plan, metric.signal, metric.of, path)
            signal = plan.signals.get(metric.signal)
            if signal and metric.of is None and signal.is_a not in _SHOWN_OF[metric.shows]:
                valid = [shows for shows, kinds in _SHOWN_OF.items() if signal.is_a in kinds]
                what = f"{metric.signal} {_is(signal)}; {choice(metric.shows, valid)}"
                yield Problem((*path, "shows"), what)
            if metric.of and metric.shows != "share":
                yield Problem((*path, "shows"), "a gauge of another shows a share; valid values: share")
    for index, kpi in enumerate(plan.kpis):
        yield from _kpi(plan, kpi, ("kpis", index))
    yield from _twice(plan)


def _twice(plan: Plan) -> Iterator[Problem]:
    names = sorted((kpi.name, index) for index, kpi in enumerate(plan.kpis))
    for name, same in groupby(names, key=lambda named: named[0]):
        for _, index in list(same)[1:]:
            yield Problem(("kpis", index, "name"), f"two KPIs are called {name!r}; each needs its own name")


def _kpi(plan: Plan, kpi: Kpi, path: Path) -> Iterator[Problem]:
    if kpi.at_review > len(plan.review.after):
        what = f"there are {len(plan.review.after)} reviews; valid values: 1 to {len(plan.review.after)}"
        yield Problem((*path, "at_review"), what)
    if kpi.no_alert and not getattr(plan.alerts, kpi.no_alert):
        yield Problem((*path, "no_alert"), f"the plan has no {kpi.no_alert} alerts: this would always be met")
    if kpi.source and kpi.source not in plan.sources:
        yield Problem((*path, "source"), f"unknown source {kpi.source!r}; {choice(kpi.source, plan.sources)}")
    elif kpi.source and plan.sources[kpi.source].values == "text":
        yield Problem((*path, "source"), f"{kpi.source} holds texts, and texts have no mean")
    if kpi.signal:
        yield from _named(plan, kpi.signal, kpi.of, path)
    if (wrong := _asks(plan, kpi)) and kpi.must:
        yield Problem((*path, "must"), f"{kpi.must.text!r}: {wrong}")


def _named(plan: Plan, signal: str, of: str | None, path: Path) -> Iterator[Problem]:
    for key, name in (("signal", signal), ("of", of)):
        if name is None:
            continue
        if name not in plan.signals:
            yield Problem((*path, key), f"unknown signal {name!r}; {choice(name, plan.signals)}")
        elif of is not None and plan.signals[name].is_a != "gauge":
            yield Problem((*path, key), f"of is said of two gauges, and {name} {_is(plan.signals[name])}")


def _asks(plan: Plan, kpi: Kpi) -> str:
    """Why `must` cannot be asked of what the KPI looks at; "" when it can."""
    if kpi.must is None:
        return ""
    if kpi.source:
        plain = kpi.must.unit == "number" and not kpi.must.quantile
        return "" if plain else "a source has a mean, which is a plain number; such as '> 4.0'"
    signal = plan.signals.get(kpi.signal or "")
    if signal is None:
        return ""
    told = f"{kpi.signal} {_is(signal)}"
    if (kpi.must.quantile is not None) != bool(signal.histogram):
        return f"{told}, which {'needs a' if signal.histogram else 'has no'} quantile"
    if kpi.must.against:
        return "" if signal.is_a in ("rate", "times", "ratios") else f"{told}, which the two arms do not share alike"
    unit = {"rate": "share", "ratios": "share", "times": "seconds"}.get(signal.is_a, "share" if kpi.of else "number")
    such = {"share": "in %, such as 50%", "seconds": "a time, such as 200ms", "number": "a plain number"}
    return "" if kpi.must.unit == unit else f"{told}, whose limit is {such[unit]}"


def _is(signal: Signal) -> str:
    return {
        "rate": "is a counter with bad events",
        "frequency": "is a counter that does not say what is bad",
        "times": "is a histogram of times",
        "ratios": "is a histogram of ratios",
        "gauge": "is a gauge",
    }[signal.is_a]
