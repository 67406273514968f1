"""Rules: that each measures something, of the right kind, where there is something to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from canary.plan.model import OfBaseline, Plan, Rule
from canary.plan.problems import Path, Problem, choice
from canary.plan.rules import OF_COUNTERS, ON_ALL, OfQuantile
from canary.plan.signals import Signal, narrow


def rules(plan: Plan) -> Iterator[Problem]:
    """Every criterion and trigger of every phase, and every alert."""
    for at, listed, alone in _lists(plan):
        seen: set[Rule] = set()
        for j, rule in enumerate(listed):
            path: Path = (*at, j)
            if rule in seen:
                yield Problem(path, f"{rule.measure} {rule.text} stands twice in {at[-1]}")
            seen.add(rule)
            yield from _rule(plan, rule, path, alone)


def _lists(plan: Plan) -> Iterator[tuple[Path, Sequence[Rule], bool]]:
    """Each list of rules with its path, and whether nobody is left on the baseline there."""
    for i, phase in enumerate(plan.phases):
        yield ("phases", i, "criteria"), phase.criteria, phase.exposure == 1
        yield ("phases", i, "triggers"), phase.triggers, phase.exposure == 1
    for severity in ("critical", "warning", "info"):
        yield ("alerts", severity), getattr(plan.alerts, severity), False


def _rule(plan: Plan, rule: Rule, path: Path, alone: bool) -> Iterator[Problem]:
    signal = plan.signals.get(rule.signal)
    if signal is None:
        yield Problem(path, f"unknown signal {rule.signal!r}; {choice(rule.signal, plan.signals)}")
        return
    yield from _fits(signal, rule, path)
    yield from _narrowed(plan, signal, rule, path)
    if isinstance(rule, OfBaseline) and alone:
        yield Problem(path, "at 100% nobody is left on the baseline to compare with")


def _fits(signal: Signal, rule: Rule, path: Path) -> Iterator[Problem]:
    compares = isinstance(rule, OfBaseline)
    if isinstance(rule, OF_COUNTERS) and signal.histogram:
        what = f"{rule.text!r} counts bad events, and {rule.signal} is a histogram; such as p95 < 200ms"
        yield Problem(path, what)
    if not isinstance(rule, OF_COUNTERS) and not compares and signal.counter:
        what = f"{rule.text!r} asks for a quantile, and {rule.signal} is a counter; such as '< 1%', any or none"
        yield Problem(path, what)
    if (isinstance(rule, OF_COUNTERS) or compares) and signal.is_a == "frequency":
        what = f"{rule.text!r} counts bad events, and {rule.signal} does not say what is bad; give it bad or of"
        yield Problem(path, what)
    if isinstance(rule, OfBaseline):
        yield from _compares(signal, rule, path)
    elif signal.gauge:
        yield Problem(path, f"{rule.signal} is a gauge: its value is shown and never held against a limit")
    if signal.histogram and not isinstance(rule, OF_COUNTERS):
        yield from _unit(signal, rule, path)
    if rule.text == "crash" and signal.counter and not signal.component:
        what = f"'crash' is said of UI components, and {rule.signal} has no component label; say any"
        yield Problem(path, what)


def _compares(signal: Signal, rule: OfBaseline, path: Path) -> Iterator[Problem]:
    """A comparison of something that can be compared, in a way that fits it."""
    if signal.gauge and signal.window is None:
        what = f"{rule.signal} is a gauge: to compare it with the baseline, its signal needs window, such as window: 5m"
        yield Problem(path, what)
    if rule.quantile is not None and not signal.histogram:
        yield Problem(path, f"{rule.text!r} asks for a quantile, and {rule.signal} is no histogram; leave the p… out")
    if rule.how.profile == "literal" and not signal.histogram:
        yield Problem(path, f"profile literal compares quantiles, and {rule.signal} is no histogram; leave it out")


def _unit(signal: Signal, rule: Rule, path: Path) -> Iterator[Problem]:
    """A limit in the histogram's own unit."""
    in_time = not (isinstance(rule, OfQuantile) and rule.unit == "share")
    if in_time and signal.is_a == "ratios":
        yield Problem(
            path, f"{rule.text!r} is said of times, and {rule.signal} is a histogram of ratios; such as p20 > 85%"
        )
    if not in_time and signal.is_a == "times":
        yield Problem(
            path, f"{rule.text!r} is said of ratios, and {rule.signal} is a histogram of times; such as 200ms"
        )


def _narrowed(plan: Plan, signal: Signal, rule: Rule, path: Path) -> Iterator[Problem]:
    if not rule.on:
        return
    names = tuple(plan.features) if rule.on == (ON_ALL,) else rule.on
    unknown = [name for name in names if name not in plan.features]
    for name in unknown:
        yield Problem((*path, "on"), f"unknown feature {name!r}; {choice(name, [ON_ALL, *plan.features])}")
    if unknown:
        return
    groups = [names] if rule.on == (ON_ALL,) else [(name,) for name in names]
    for group in groups:
        try:
            narrow(signal, [plan.features[name] for name in group])
        except ValueError as error:
            yield Problem((*path, "on"), f"{', '.join(group) or 'no feature'}: {error}")
            return
