"""Phases: exposure from 0% to 100% without falling, and in each phase only what can work there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from canary.plan.checks.targets import splitters
from canary.plan.model import Phase, Plan, UiCheck
from canary.plan.problems import Path, Problem, choice
from canary.plan.units import percent


def phases(plan: Plan) -> Iterator[Problem]:
    """The order of the phases, then each by itself."""
    yield from _ends(plan)
    for index, (before, phase) in enumerate(pairwise(plan.phases), 1):
        if phase.exposure < before.exposure:
            what = f"exposure falls from {percent(before.exposure)} ({before.name}) to {percent(phase.exposure)}"
            yield Problem(("phases", index, "exposure"), f"{what}; it may only rise")
    seen: set[str] = set()
    for index, phase in enumerate(plan.phases):
        path: Path = ("phases", index)
        if phase.name in seen:
            yield Problem((*path, "name"), f"two phases are called {phase.name!r}; each needs its own name")
        seen.add(phase.name)
        yield from _approval(plan, phase, path)
        yield from _evidence(phase, path)
        yield from _pages(plan, phase, path)


def _ends(plan: Plan) -> Iterator[Problem]:
    first, last = plan.phases[0].exposure, plan.phases[-1].exposure
    if first != 0:
        what = f"the first phase prepares the candidate for nobody: exposure must be 0%, not {percent(first)}"
        yield Problem(("phases", 0, "exposure"), what)
    if last != 1:
        what = f"the last phase is for everybody: exposure must be 100%, not {percent(last)}"
        yield Problem(("phases", len(plan.phases) - 1, "exposure"), what)


def _approval(plan: Plan, phase: Phase, path: Path) -> Iterator[Problem]:
    for index, role in enumerate(phase.approval.by if phase.approval else ()):
        at = (*path, "approval", "by", index)
        if role not in plan.roles:
            yield Problem(at, f"unknown role {role!r}; {choice(role, plan.roles)}")
        if phase.approval and role in phase.approval.by[:index]:
            yield Problem(at, f"role {role!r} stands twice; each role approves once")


def _evidence(phase: Phase, path: Path) -> Iterator[Problem]:
    """What a phase looks at must be there to be seen."""
    rules = [key for key in ("criteria", "triggers") if getattr(phase, key)]
    if phase.exposure == 0:
        for key in rules:
            what = f"at 0% nobody is on the candidate, so {key} would measure nothing; use checks"
            yield Problem((*path, key), what, at_key=True)
        return
    if phase.checks:
        what = f"checks look at a candidate that nobody uses yet; at {percent(phase.exposure)} use criteria"
        yield Problem((*path, "checks"), what, at_key=True)
    if phase.exposure < 1 and not phase.criteria:
        yield Problem(path, f"phase {phase.name} has no criteria: it would measure nothing and could never pass")
    if phase.duration is None and (rules or phase.exposure < 1):
        yield Problem(path, f"phase {phase.name} gathers evidence and needs a duration, such as for: 30m")


def _pages(plan: Plan, phase: Phase, path: Path) -> Iterator[Problem]:
    """The targets whose pages are opened."""
    serving = splitters(plan)
    for index, check in enumerate(phase.checks):
        if isinstance(check, UiCheck) and check.target is not None and check.target not in serving:
            what = f"{check.target!r} is no target that serves pages; {choice(check.target, serving)}"
            yield Problem((*path, "checks", index, "target"), what)
