"""The closing: steps that the plan gives what they need, and figures that can be measured."""

from __future__ import annotations

from collections.abc import Iterator

from canary.plan.closing import Figure
from canary.plan.model import Plan
from canary.plan.problems import Path, Problem, choice

_NEEDS = {"audit": "audit", "announce": "announce"}
_EXAMPLE = {
    "audit": "audit: {api_p95_ms: {signal: api_latency, shows: p95, in: ms}}",
    "alerts": "alerts: {critical: [{http_errors: any}]}",
    "announce": "announce: {says: Phase 1 is live, feedback: https://…}",
}


def closing(plan: Plan) -> Iterator[Problem]:
    """Steps in the last phase only, each once and with what it needs; then the audit's figures."""
    last = len(plan.phases) - 1
    for i, phase in enumerate(plan.phases):
        if phase.then and i != last:
            what = f"{phase.name} is not the last phase: `then` is done when everybody has the candidate"
            yield Problem(("phases", i, "then"), what, at_key=True)
        for j, step in enumerate(phase.then):
            path: Path = ("phases", i, "then", j)
            if step in phase.then[:j]:
                yield Problem(path, f"{step} stands twice; each step is done once")
            if step in _NEEDS and not getattr(plan, _NEEDS[step]):
                yield Problem(path, f"the step {step} needs the plan's key {_NEEDS[step]}; such as {_EXAMPLE[step]}")
            if step == "alerts" and not any(plan.alerts.each()):
                yield Problem(path, f"the step alerts needs an alert in the plan; such as {_EXAMPLE[step]}")
    for name, figure in plan.audit.items():
        yield from _figure(plan, figure, ("audit", name))


def _figure(plan: Plan, figure: Figure, path: Path) -> Iterator[Problem]:
    signal = plan.signals.get(figure.signal)
    if signal is None:
        yield Problem((*path, "signal"), f"unknown signal {figure.signal!r}; {choice(figure.signal, plan.signals)}")
        return
    of_counter = figure.shows == "share"
    if of_counter != bool(signal.counter):
        fits = "share" if signal.counter else "p50, p90, p95 or p99"
        kind = "counter" if signal.counter else "histogram"
        yield Problem((*path, "shows"), f"{figure.signal} is a {kind}; valid values: {fits}")
    elif of_counter != (figure.unit == "percent"):
        yield Problem((*path, "in"), f"{figure.shows} is told in {'percent' if of_counter else 'ms or s'}")
