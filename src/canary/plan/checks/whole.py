"""The plan as a whole: arms that can be told apart, a traffic signal, skipped checks, review times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from canary.plan.checklist import WordEvidence
from canary.plan.model import AnySeen, NoneSeen, Plan
from canary.plan.problems import Problem, choice
from canary.plan.rules import ON_ALL


def arms(plan: Plan) -> Iterator[Problem]:
    """Arms must differ in a label that both name, or one series could be counted for both."""
    canary, baseline = plan.arms.canary, plan.arms.baseline
    for arm, labels in (("canary", canary), ("baseline", baseline)):
        for label, value in labels.items():
            for word in re.findall(r"{(.*?)}", value):
                if word not in ("candidate", "stable"):
                    what = f"unknown placeholder {{{word}}}; valid values: {{candidate}}, {{stable}}"
                    yield Problem(("arms", arm, label), what)
    if canary == baseline:
        yield Problem(("arms",), "canary and baseline select the same series; there is nothing to compare")
    elif not any(canary[label] != baseline[label] for label in canary.keys() & baseline.keys()):
        what = "canary and baseline can match the same series; both must name one label, with different values"
        yield Problem(("arms",), what)


def signals(plan: Plan) -> Iterator[Problem]:
    """The traffic signal exists and counts; no name means two things."""
    counters = [name for name, signal in plan.signals.items() if signal.counter]
    if plan.traffic not in counters:
        what = f"{plan.traffic!r} is no counter signal; {choice(plan.traffic, counters)}"
        yield Problem(("traffic",), what)
    for section, reserved in (("signals", "on"), ("features", ON_ALL)):
        if reserved in getattr(plan, section):
            yield Problem((section, reserved), f"the name {reserved!r} has a meaning in rules; take another", True)


def skipped(plan: Plan) -> Iterator[Problem]:
    """Check names are unique, and only existing checks are skipped."""
    names = [(("phases", i, "checks", j), c.name) for i, p in enumerate(plan.phases) for j, c in enumerate(p.checks)]
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            yield Problem((*path, "name"), f"two checks are called {name!r}; each needs its own name")
        seen.add(name)
    for index, name in enumerate(plan.without):
        if name not in seen:
            yield Problem(("without", index), f"there is no check {name!r}; {choice(name, sorted(seen))}")


def checklist(plan: Plan) -> Iterator[Problem]:
    """Each item once; a word is a known role's."""
    seen: set[str] = set()
    for index, each in enumerate(plan.checklist):
        if each.item in seen:
            yield Problem(("checklist", index, "item"), f"{each.item!r} stands twice in the checklist")
        seen.add(each.item)
        said = each.evidence
        if isinstance(said, WordEvidence) and said.word_of not in plan.roles:
            what = f"unknown role {said.word_of!r}; {choice(said.word_of, plan.roles)}"
            yield Problem(("checklist", index, "evidence", "word_of"), what)


def times(plan: Plan) -> Iterator[Problem]:
    """Reviews come one after the other, and the watch looks at least once."""
    if plan.watch and plan.watch.every > plan.watch.lasts:
        yield Problem(("watch", "every"), "longer than the watch itself: it would never look")
    if any(later <= earlier for earlier, later in pairwise(plan.review.after)):
        yield Problem(("review", "after"), "the times must rise, such as [24h, 48h]")


def backtest(plan: Plan) -> Iterator[Problem]:
    """What is demanded must be possible: rules that a history of single pods can test."""
    if plan.backtest is None:
        return
    judged = [phase for phase in plan.phases if 0 < phase.exposure < 1 and phase.duration]
    rules = [rule for phase in judged for rule in (*phase.criteria, *phase.triggers)]
    if all(isinstance(rule, NoneSeen | AnySeen) or rule.how.profile == "literal" for rule in rules):
        what = "no phase with some of the users has a duration and a rule that is not taken literally"
        yield Problem(("backtest",), f"{what}: nothing to test")
    for rule in rules:
        signal = plan.signals.get(rule.signal)
        if signal is not None and signal.gauge:
            what = f"{rule.signal} is a ready-made number, which no backtest can take apart by pods"
            yield Problem(("backtest",), f"{what}; leave backtest out, or judge a counter or a histogram")
