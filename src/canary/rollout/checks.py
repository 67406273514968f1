"""The checks of a phase without users: one round over all of them, each a line of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from canary.errors import CredentialError, ProviderError
from canary.plan.model import Check, HttpCheck, MetricsCheck
from canary.ports import Access, Clock, Probe
from canary.rollout.events import CheckObserved
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Bearers = Mapping[str, Mapping[str, str]]
Totals = dict[str, float]


class Checks:
    """Looks at the prepared candidate through its internal access.

    Remembers the metrics' totals of the last round: a metric collects when its total has grown since.
    """

    def __init__(self, clock: Clock, probe: Probe, access: Access, bearers: Bearers, without: tuple[str, ...]) -> None:
        self.clock = clock
        self.probe = probe
        self.access = access
        self.bearers = bearers
        self.without = without
        self._before: Totals = {}

    async def round(self, checks: tuple[Check, ...]) -> list[CheckObserved]:
        """All checks at the same time. Never raises for what is being checked."""
        return list(await asyncio.gather(*(self._one(check) for check in checks)))

    async def _one(self, check: Check) -> CheckObserved:
        if check.name in self.without:
            return CheckObserved(name=check.name, outcome="skipped", detail="the plan goes without it")
        try:
            work = self._metrics(check) if isinstance(check, MetricsCheck) else self._http(check)
            return await within(self.clock, PROVIDER_TIMEOUT, work)
        except TimeoutError:
            why = f"no answer within {PROVIDER_TIMEOUT:.0f} s"
        except (ProviderError, CredentialError) as error:
            why = error.what
        return CheckObserved(name=check.name, outcome="cannot tell", detail=why)

    async def _http(self, check: HttpCheck) -> CheckObserved:
        headers = {**self.access.headers, **(self.bearers[check.bearer] if check.bearer else {})}
        answer = await self.probe.get(self.access.url + check.get, headers)
        good = answer.status == check.expect
        detail = f"GET {check.get} answered {answer.status}, expected {check.expect}"
        return CheckObserved(name=check.name, outcome="passed" if good else "failed", detail=detail)

    async def _metrics(self, check: MetricsCheck) -> CheckObserved:
        answer = await self.probe.get(self.access.url + check.path, self.access.headers)
        if answer.status != 200:
            detail = f"GET {check.path} answered {answer.status}"
            return CheckObserved(name=check.name, outcome="cannot tell", detail=detail)
        found = totals(answer.body, check.metrics)
        before, self._before = self._before, found
        absent = [name for name in check.metrics if name not in found]
        if absent:
            return CheckObserved(name=check.name, outcome="failed", detail=f"absent: {', '.join(absent)}")
        if not before:
            detail = "all present; whether they collect is seen at the next look"
            return CheckObserved(name=check.name, outcome="cannot tell", detail=detail)
        return _collecting(check, {name: _growth(found[name], before.get(name, 0.0)) for name in check.metrics})


def _growth(now: float, before: float) -> float:
    """A total that fell has restarted from 0."""
    return now - before if now >= before else now


def _collecting(check: MetricsCheck, growth: Totals) -> CheckObserved:
    still = [name for name, grown in growth.items() if grown <= 0]
    if still:
        detail = f"present, but not collecting since the last look: {', '.join(still)}"
        return CheckObserved(name=check.name, outcome="failed", detail=detail)
    detail = "collecting: " + ", ".join(f"{name} +{grown:g}" for name, grown in growth.items())
    return CheckObserved(name=check.name, outcome="passed", detail=detail)


def totals(text: str, names: tuple[str, ...]) -> Totals:
    """Each metric's total over its series in a Prometheus exposition: a histogram's by its `_count`.

    Names that do not appear are absent from the answer. Raises ProviderError for a text that is no exposition.
    """
    found: Totals = {}
    wanted = {**{name: name for name in names}, **{f"{name}_count": name for name in names}}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in wanted:
                    name = wanted[sample.name]
                    found[name] = found.get(name, 0.0) + sample.value
    except ValueError as error:
        raise ProviderError(f"not a Prometheus exposition: {error}") from None
    return found
