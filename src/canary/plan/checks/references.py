"""Block references: the kind exists and is fit for what the plan uses it for."""

from __future__ import annotations

from collections.abc import Iterator

from canary.plan.kinds import KINDS, Role, kind_of, kinds_of
from canary.plan.model import Plan
from canary.plan.phases import bearer_of
from canary.plan.problems import Path, Problem, choice
from canary.plan.units import FILES


def references(plan: Plan) -> Iterator[Problem]:
    """Unknown kinds, kinds in the wrong role, a metrics block without dashboards, a page route that cannot page."""
    for path, ref, role in _used(plan):
        kind = kind_of(ref)
        if kind not in KINDS:
            yield Problem(path, f"unknown kind {kind!r}; {choice(kind, kinds_of(role))}")
        elif KINDS[kind].role != role:
            is_a, valid = KINDS[kind].role, ", ".join(kinds_of(role))
            yield Problem(path, f"kind {kind} is a {is_a} block, not a {role} block; valid values: {valid}")
    yield from _boards(plan)
    yield from _pages(plan)


def _used(plan: Plan) -> Iterator[tuple[Path, str, Role]]:
    for name, target in plan.targets.items():
        yield ("targets", name, "use"), target.use, "target"
    yield ("metrics",), plan.metrics, "metrics"
    if plan.dashboards != FILES:
        yield ("dashboards",), plan.dashboards, "metrics"
    for route, refs in (("updates", plan.notify.updates), ("page", plan.notify.page)):
        for index, ref in enumerate(refs):
            yield ("notify", route, index), ref, "notifier"
    for index, ref in enumerate(plan.announce.to if plan.announce else ()):
        yield ("announce", "to", index), ref, "notifier"
    for i, phase in enumerate(plan.phases):
        for j, check in enumerate(phase.checks):
            if bearer := bearer_of(check):
                yield ("phases", i, "checks", j, "bearer"), bearer, "token"


def _boards(plan: Plan) -> Iterator[Problem]:
    kind = KINDS.get(kind_of(plan.dashboards))
    if kind and kind.role == "metrics" and not kind.dashboards:
        valid = ", ".join(name for name, kind in KINDS.items() if kind.dashboards)
        what = f"kind {kind_of(plan.dashboards)} keeps no dashboards; valid kinds: {valid}; or write: {FILES}"
        yield Problem(("dashboards",), what)


def _pages(plan: Plan) -> Iterator[Problem]:
    valid = ", ".join(name for name, kind in KINDS.items() if kind.pages)
    if not plan.notify.page:
        what = "a plan needs somebody to wake: name at least one block of a kind that can, such as [slack/oncall]"
        yield Problem(("notify", "page"), f"{what}; valid kinds: {valid}")
    for index, ref in enumerate(plan.notify.page):
        kind = KINDS.get(kind_of(ref))
        if kind and kind.role == "notifier" and not kind.pages:
            what = f"kind {kind_of(ref)} cannot wake anybody; valid values: {valid}"
            yield Problem(("notify", "page", index), what)
