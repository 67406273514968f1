"""What an hour of a rollout asks of each vendor, and where that is more than it allows. In virtual time.

soak:      the conductor's own `Soak` for one hour of a canary, with its reads of the metrics through Grafana; a look
           every block of 15 s.
fastest:   a look at every target each second for one hour: the pace that `OBSERVE_EVERY` allows, and that of a rollback
           that is not verified yet.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.providers.town import REFS, Town, town
from bench.providers.virtual import LoopClock, run
from bench.providers.wire import HOST, Client, Road, through
from bench.tick import NoSpool
from canary.blocks.registry import open_block
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.ports import StoredPlan
from canary.rollout import events as e
from canary.rollout.adapters import Adapters
from canary.rollout.conducting import Start, Stores, begin, conducting, taking
from canary.rollout.effects import look_at_all, raise_all
from canary.rollout.soak import OBSERVE_EVERY
from canary.testing.fakes import FakeBrowser, FakeEvidence, FakeNotifier, FakeProbe, MemoryShelf
from canary.testing.grafana import Grafana
from canary.testing.journal import MemoryJournal, MemoryVault

HOUR = 3600.0
SHARE = 0.1
LATENCY = (0.08, 0.3)
LIMITS: Mapping[tuple[str, str], float] = {("api", "list machines"): 3600.0, ("flags", "read items"): 1200.0}
"""Requests an hour that are published for what a look asks: Fly one a second and action (burst 3), Vercel 20 reads of a
Global Config's items a minute. None is known for the rest."""
PLAN: dict[str, Any] = {
    "name": "spending",
    "service": "docflow",
    "targets": {
        "api": {"use": REFS["api"], "artifact": "registry.fly.io/docflow:{version}"},
        "web": {"use": REFS["web"]},
        "flags": {"use": REFS["flags"], "set": {"phase1_enabled": True}, "read_by": ["web"]},
    },
    "mixed_versions": "ok",
    "metrics": "grafana/docflow",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {
        "http_errors": {"counter": "http_requests_total", "bad": {"status": "5.."}},
        "api_latency": {"histogram": "api_latency_ms", "unit": "ms"},
        "publish_latency": {"histogram": "publish_latency_ms", "unit": "ms"},
        "js_errors": {"counter": "page_views_total", "bad": {"outcome": "error"}},
    },
    "traffic": "http_errors",
    "notify": {"updates": ["terminal/all"], "page": ["terminal/all"]},
    "roles": {"owner": {"name": "Olga Owner"}, "lead": {"name": "Lars Lead"}},
    "phases": [
        {
            "name": "canary",
            "for": "2h",
            "exposure": "10%",
            "criteria": [
                {"http_errors": "< 1%"},
                {"api_latency": "p95 < 200ms"},
                {"publish_latency": "p95 < 20ms"},
                {"js_errors": "< 1%"},
            ],
            "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"},
        },
        {"name": "full", "exposure": "100%"},
    ],
}


@dataclass(frozen=True)
class Spent:
    """Requests of one kind to one vendor in one hour. allowed: published for an hour, None when nothing is.

    refused: answered with 429.
    """

    pace: str
    target: str
    action: str
    requests: int
    allowed: float | None
    refused: int


class Counting(Client):
    """Counts every request by what it asks for."""

    def __init__(self, provider: Any, road: Road) -> None:
        super().__init__(provider, road)
        self.actions: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def _said(self, request: Any) -> Any:
        action = _action(request.method, request.path)
        said = await super()._said(request)
        self.actions[action] += 1
        self.refused[action] += said.status == 429
        return said


def _action(method: str, path: str) -> str:
    endings = {
        "/machines": "list machines",
        "/items": "read items",
        "/rolling-release": "read the rolling release",
        "/query": "query",
        "ecfg_docflow": "read the digest",
        "prj_docflow": "read the project",
    }
    found = next((name for ending, name in endings.items() if path.endswith(ending)), path)
    return found if method == "GET" or found == "query" else f"{method} {path}"


def _count(there: Town) -> dict[str, Counting]:
    """The town's blocks counted from here on."""
    return {
        name: through(there.targets[name], Counting(client.provider, client.road))
        for name, client in there.clients.items()
    }


async def _nobody_forbids() -> None:
    """No lease is at stake here."""


async def _raised(there: Town) -> None:
    clock = LoopClock()
    while True:
        seen = await raise_all(clock, there.targets, there.release, SHARE, 1, _nobody_forbids)
        if all(looked.answer == "yes" for looked in seen.values()):
            return
        await clock.sleep(1.0)


def _spent(pace: str, clients: Mapping[str, Counting]) -> list[Spent]:
    return [
        Spent(pace, name, action, asked, LIMITS.get((name, action)), client.refused[action])
        for name, client in clients.items()
        for action, asked in sorted(client.actions.items())
    ]


async def _fastest() -> list[Spent]:
    clock = LoopClock()
    there = await town(1, 5.0, LATENCY)
    await _raised(there)
    clients, ends = _count(there), clock.monotonic() + HOUR
    while (now := clock.monotonic()) < ends:
        await look_at_all(clock, there.targets, there.release, SHARE)
        await clock.sleep(now + OBSERVE_EVERY - clock.monotonic())
    return _spent("fastest", clients)


def _plan() -> tuple[Plan, StoredPlan]:
    plan = parse_plan(json.dumps(PLAN))
    return plan, StoredPlan("spending", plan.name, plan.service, json.dumps(PLAN))


async def _soak() -> list[Spent]:
    clock, (plan, stored) = LoopClock(), _plan()
    there = await town(1, 5.0, LATENCY)
    await _raised(there)
    clients = _count(there)
    grafana = Grafana(tokens={"glsa_bench": "Viewer"})
    fields = {"url": HOST, "token": "glsa_bench", "datasource": "prom"}
    metrics: Any = open_block(plan.metrics, fields, clock)
    clients["metrics"] = through(metrics, Counting(grafana, Road(random.Random(1), *LATENCY)))
    told = {"terminal/all": FakeNotifier()}
    adapters = Adapters(there.targets, metrics, FakeProbe(), FakeBrowser(), FakeEvidence(), told, told, {}, {})
    stores = Stores(MemoryJournal(), MemoryVault(), NoSpool(), clock, MemoryShelf())
    await stores.journal.store_plan(stored)
    await begin(stores, Start("bench", stored.hash, "v2.1.0", "bench", "bench"))
    async with taking(stores, "bench") as seat, conducting(seat, adapters) as conductor:
        await seat.record.tell(*_before_the_soak(plan, there, clock))
        ends = clock.now() + HOUR
        feed = asyncio.ensure_future(_feed(grafana, plan, clock))
        while clock.now() < ends:
            await conductor.soak.tick()
        feed.cancel()
        if conductor.state.rollback or conductor.state.evidence.blocks < 0.9 * HOUR / 15:
            raise AssertionError(f"{conductor.state.evidence.blocks} blocks; {conductor.state.rollback}")
    return _spent("soak", clients)


def _before_the_soak(plan: Plan, there: Town, clock: LoopClock) -> Sequence[e.Event]:
    names, looked = tuple(plan.targets), e.Shown(answer="yes", observed=SHARE, detail="")
    return (
        e.PreflightPassed(release=dict(there.release), stable_version="v2.0.9", sealed=()),
        e.PhaseStarted(phase="canary"),
        e.ExposureIntended(share=SHARE, targets=names, why="bench"),
        e.ExposureObserved(share=SHARE, targets=dict.fromkeys(names, looked)),
        e.SoakStarted(phase="canary", due=clock.now() + 2 * HOUR),
    )


async def _feed(grafana: Grafana, plan: Plan, clock: LoopClock) -> None:
    """A healthy release of 100 requests a second, scraped every 15 s; what is older than a query's window goes."""
    total = 0.0
    while True:
        now, total = clock.now(), total + 15.0
        for version, share in (("v2.1.0", SHARE), ("v2.0.9", 1 - SHARE)):
            labels = {"version": version}
            for name in ("http_requests_total", "page_views_total"):
                grafana.samples.add(name, labels, now, 100 * share * total)
            for name in ("api_latency_ms", "publish_latency_ms"):
                grafana.samples.add(f"{name}_count", labels, now, 100 * share * total)
                for edge in ("5", "10", "20", "100", "200", "+Inf"):
                    grafana.samples.add(f"{name}_bucket", {**labels, "le": edge}, now, 100 * share * total)
        for series in grafana.samples.series.values():
            del series[:-40]
        await clock.sleep(15.0)


def measured() -> list[Spent]:
    return [*run(_soak()), *run(_fastest())]


def shown(found: Sequence[Spent]) -> list[str]:
    told = ["pace     target   asked                     an hour  published limit  answered 429"]
    for each in found:
        allowed = f"{each.allowed:,.0f}" if each.allowed else "none known"
        told.append(
            f"{each.pace:8} {each.target:8} {each.action:26} {each.requests:6,}  {allowed:>15}  {each.refused:12,}"
        )
    return told
