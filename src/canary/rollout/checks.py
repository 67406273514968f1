"""The checks of a phase without users: one round over all of them, each a line of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from canary.errors import CredentialError, ProviderError
from canary.plan.model import Check, HttpCheck, MetricsCheck, UiCheck
from canary.ports import Access, Browser, Clock, Probe, Visit
from canary.rollout.events import CheckObserved
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Bearers = Mapping[str, Mapping[str, str]]
VISIT_TIMEOUT = 25.0
"""Seconds that the visits of a round may take together; a browser's own limit is shorter, and says more."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A metric's total at the last look, and when it was last seen to have grown (monotonic seconds)."""

    total: float
    grew_at: float | None = None

    def after(self, total: float, now: float) -> Growth:
        """A total that fell has restarted from 0: whatever it shows has grown since."""
        grown = total > self.total or 0 < total < self.total
        return Growth(total, now if grown else self.grew_at)


class Checks:
    """Looks at the prepared candidate through its internal access: `access`, or that of the target in `pages`.

    Remembers each metric's totals between the rounds: it collects when it has grown within the last
    `collects_within` seconds. Not since the last round: that one may be a moment ago.
    """

    def __init__(
        self,
        clock: Clock,
        probe: Probe,
        browser: Browser,
        access: Access,
        pages: Mapping[str, Access],
        bearers: Bearers,
        without: tuple[str, ...],
        collects_within: float,
    ) -> None:
        self.clock = clock
        self.probe = probe
        self.browser = browser
        self.access = access
        self.pages = pages
        self.bearers = bearers
        self.without = without
        self.collects_within = collects_within
        self._growth: dict[str, dict[str, Growth]] = {}

    async def round(self, checks: tuple[Check, ...]) -> list[CheckObserved]:
        """All checks at the same time. Never raises for what is being checked."""
        return list(await asyncio.gather(*(self._one(check) for check in checks)))

    async def _one(self, check: Check) -> CheckObserved:
        if check.name in self.without:
            return CheckObserved(name=check.name, outcome="skipped", detail="the plan goes without it")
        seconds = VISIT_TIMEOUT if isinstance(check, UiCheck) else PROVIDER_TIMEOUT
        try:
            return await within(self.clock, seconds, self._look(check))
        except TimeoutError:
            why = f"no answer within {seconds:.0f} s"
        except (ProviderError, CredentialError) as error:
            why = error.what
        return CheckObserved(name=check.name, outcome="cannot tell", detail=why)

    async def _look(self, check: Check) -> CheckObserved:
        match check:
            case MetricsCheck():
                return await self._metrics(check)
            case HttpCheck():
                return await self._http(check)
            case UiCheck():
                return await self._ui(check)

    def _signed_in(self, access: Access, bearer: str | None) -> Access:
        return Access(access.url, {**access.headers, **self.bearers[bearer]}) if bearer else access

    async def _ui(self, check: UiCheck) -> CheckObserved:
        access = self._signed_in(self.pages[check.target] if check.target else self.access, check.bearer)
        return visit_observed(check, await self.browser.visit(access, check))

    async def _http(self, check: HttpCheck) -> CheckObserved:
        access = self._signed_in(self.access, check.bearer)
        answer = await self.probe.get(access.url + check.get, access.headers)
        good = answer.status == check.expect
        detail = f"GET {check.get} answered {answer.status}, expected {check.expect}"
        return CheckObserved(name=check.name, outcome="passed" if good else "failed", detail=detail)

    async def _metrics(self, check: MetricsCheck) -> CheckObserved:
        answer = await self.probe.get(self.access.url + check.path, self.access.headers)
        if answer.status != 200:
            detail = f"GET {check.path} answered {answer.status}"
            return CheckObserved(name=check.name, outcome="cannot tell", detail=detail)
        found = totals(answer.body, check.metrics)
        absent = [name for name in check.metrics if name not in found]
        if absent:
            return CheckObserved(name=check.name, outcome="failed", detail=f"absent: {', '.join(absent)}")
        return self._collecting(check, found)

    def _collecting(self, check: MetricsCheck, found: Mapping[str, float]) -> CheckObserved:
        now, before = self.clock.monotonic(), self._growth.get(check.name)
        if before is None:
            self._growth[check.name] = {name: Growth(total) for name, total in found.items()}
            detail = "all present; whether they collect is seen at the next look"
            return CheckObserved(name=check.name, outcome="cannot tell", detail=detail)
        growth = {name: before[name].after(found[name], now) for name in check.metrics}
        self._growth[check.name] = growth
        still = [name for name, seen in growth.items() if self._stands(seen, now)]
        if still:
            detail = f"present, but not collecting: {', '.join(still)} (no growth within {self.collects_within:.0f} s)"
            return CheckObserved(name=check.name, outcome="failed", detail=detail)
        detail = "collecting: " + ", ".join(f"{name} at {seen.total:g}" for name, seen in growth.items())
        return CheckObserved(name=check.name, outcome="passed", detail=detail)

    def _stands(self, seen: Growth, now: float) -> bool:
        return seen.grew_at is None or now - seen.grew_at > self.collects_within


def visit_observed(check: UiCheck, visit: Visit) -> CheckObserved:
    """A page whose scripts throw has failed, whatever else it does."""
    thrown = f"; thrown meanwhile: {' · '.join(visit.errors)}" if visit.errors else ""
    return CheckObserved(
        name=check.name,
        outcome="failed" if visit.errors else visit.outcome,
        detail=f"{visit.detail} ({visit.seconds:.1f} s){thrown}",
        scripted_views=visit.views,
    )


def totals(text: str, names: tuple[str, ...]) -> dict[str, float]:
    """Each metric's total over its series in a Prometheus exposition: a histogram's by its `_count`.

    Names that do not appear are absent from the answer. Raises ProviderError for a text that is no exposition.
    """
    found: dict[str, float] = {}
    wanted = {**{name: name for name in names}, **{f"{name}_count": name for name in names}}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in wanted:
                    name = wanted[sample.name]
                    found[name] = found.get(name, 0.0) + sample.value
        return found
    except ValueError:
        # Not the parser's words: they quote the answer, and an application can repeat the headers it was sent.
        why = "what it answers is no Prometheus exposition"
    raise ProviderError(why)
