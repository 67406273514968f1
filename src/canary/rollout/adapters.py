"""The adapters of one plan, opened from sealed fields: the same way for a conductor, the guard and a command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from canary.plan.model import Plan
from canary.plan.phases import bearer_of
from canary.plan.units import FILES
from canary.ports import Browser, Dashboards, EvidenceRoom, Metrics, Notifier, Probe, Target

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opener:
    """How adapters are made; given from above, since the domain knows no platform.

    block: (reference, fields) → the adapter, with no I/O. probe: () → an HTTP probe. browser: () → one not started.
    evidence: () → the folder of evidence. bearer: (reference, fields) → the header a token is sent in.
    """

    block: Callable[[str, Fields], object]
    probe: Callable[[], Probe]
    browser: Callable[[], Browser]
    evidence: Callable[[], EvidenceRoom]
    bearer: Callable[[str, Fields], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything one rollout talks to. Notifiers by reference, in the plan's order of routes."""

    targets: Mapping[str, Target]
    metrics: Metrics
    probe: Probe
    browser: Browser
    evidence: EvidenceRoom
    updates: Mapping[str, Notifier]
    page: Mapping[str, Notifier]
    announce: Mapping[str, Notifier]
    bearers: Mapping[str, Mapping[str, str]]
    dashboards: Dashboards | None = None

    def connections(self, plan: Plan) -> Mapping[str, Target | Metrics | Notifier | Dashboards]:
        """Every adapter that can say whether it is reachable, by block reference."""
        targets = {spec.use: self.targets[name] for name, spec in plan.targets.items()}
        boards = {plan.dashboards: self.dashboards} if self.dashboards else {}
        return {**targets, plan.metrics: self.metrics, **boards, **self.updates, **self.page, **self.announce}

    async def close(self) -> None:
        told = {**self.updates, **self.page, **self.announce}.values()
        asked: list[Metrics | Probe | Browser | Dashboards] = [self.metrics, self.probe, self.browser]
        asked += [self.dashboards] if self.dashboards else []
        every: list[Target | Metrics | Probe | Browser | Notifier | Dashboards]
        every = [*self.targets.values(), *asked, *told]
        await asyncio.gather(*(adapter.close() for adapter in every), return_exceptions=True)


def open_adapters(plan: Plan, sealed: Mapping[str, Fields], opener: Opener) -> Adapters:
    """From the fields of every reference in `plan.block_refs()`. Raises KeyError for one that was not sealed."""
    announced = (*plan.notify.updates, *(plan.announce.to if plan.announce else ()))
    notifiers = open_notifiers((*announced, *plan.notify.page), sealed, opener)
    tokens = [ref for check in plan.checks if (ref := bearer_of(check))]
    boards = plan.dashboards
    bearers = {ref: opener.bearer(ref, sealed[ref]) for ref in tokens if ref in sealed}
    return Adapters(
        targets={n: cast(Target, opener.block(spec.use, sealed[spec.use])) for n, spec in plan.targets.items()},
        metrics=cast(Metrics, opener.block(plan.metrics, sealed[plan.metrics])),
        probe=opener.probe(),
        browser=opener.browser(),
        evidence=opener.evidence(),
        updates={ref: notifiers[ref] for ref in plan.notify.updates},
        page={ref: notifiers[ref] for ref in plan.notify.page},
        announce={ref: notifiers[ref] for ref in announced},
        bearers=bearers,
        dashboards=cast(Dashboards, opener.block(boards, sealed[boards])) if boards != FILES else None,
    )


def open_notifiers(refs: Iterable[str], sealed: Mapping[str, Fields], opener: Opener) -> Mapping[str, Notifier]:
    """By reference, in that order, each once: a route for updates and for pages is the same notifier."""
    return {ref: cast(Notifier, opener.block(ref, sealed[ref])) for ref in dict.fromkeys(refs)}
