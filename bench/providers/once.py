"""How often one operation takes effect while 30 % of the answers are lost. Counted where the effect is: in the server.

An operation is what a rollout wants done once, and asks for until it is seen to be done:

fly       one machine brought to one image within one step (an update gives it a new instance and restarts it, also when
          the image is the same), and the extra machine made, or removed, within one.
vercel    users brought to one split by one step (a start, an approval, a completion, a rollback). A repeated rollback
          that Vercel accepts, and that moves nobody, is counted apart.
build     one flag built away of one deployment: the variable set, a deployment built, production moved; each of them.
config    the items brought to one step's values: the document changes.
grafana   one dashboard brought up to date (a save raises its version), and one alert rule written.

Every seventh request for an operation comes from a process that has just begun: it remembers nothing.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.providers.virtual import LoopClock, run
from bench.providers.wire import HOST, Client, Road, through
from canary.blocks.registry import open_block
from canary.boards.document import TAG
from canary.errors import CanaryError
from canary.ports import AlertRule, Release
from canary.testing.fly import CANDIDATE, STABLE, FlyServer
from canary.testing.global_config import GlobalConfigs
from canary.testing.grafana import Grafana
from canary.testing.provider import Provider
from canary.testing.vercel import Vercel
from canary.testing.vercel_state import Shown

LOST = 0.3
ANEW = 7
TRIES = 500
WEIGHTS = {"vercel": 0.25, "build": 0.1, "config": 0.15, "grafana": 0.2, "fly": 0.3}
"""Parts of the calls; the dearest last, with all the processor time that the others left."""


@dataclass(frozen=True)
class Once:
    """One vendor. calls: requests that reached the server; lost: of these, whose answer did not come back.

    operations: that were asked for until they were seen to be done; effects: effective mutations of all of them;
    most: of any one. without: requests that were accepted and changed nothing.
    """

    what: str
    calls: int
    lost: int
    operations: int
    effects: int
    most: int
    without: int
    cpu_seconds: float


class Ledger:
    """What took effect within the operations that are under way. `begin` ends the ones before."""

    def __init__(self) -> None:
        self.operations = self.effects = self.most = self.without = 0
        self._now: Counter[str] = Counter()

    def effect(self, of: str) -> None:
        self._now[of] += 1

    def begin(self) -> None:
        self.operations += len(self._now)
        self.effects += self._now.total()
        self.most = max(self.most, *self._now.values(), 0)
        self._now.clear()


class CountedFly(FlyServer):
    """Every update that was accepted is a restart."""

    ledger: Ledger

    def _update(self, machine: Any, config: dict[str, Any], *, launch: bool) -> None:
        super()._update(machine, config, launch=launch)
        self.ledger.effect(f"update {machine.id}")

    def _made(self, name: str, region: str, config: dict[str, Any]) -> Any:
        self.ledger.effect(f"make {name}")
        return super()._made(name, region, config)

    def remove(self, machine: Any) -> None:
        super().remove(machine)
        self.ledger.effect(f"remove {machine.name}")


class CountedVercel(Vercel):
    """Where users are sent, what is built, and what is set."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def change(self, shown: Shown) -> None:
        if shown.shares() != self.now.shares():
            self.ledger.effect("users")
        elif shown.rolling == self.now.rolling:
            self.ledger.without += 1
        super().change(shown)

    async def _create(self, request: Any) -> Any:
        self.ledger.effect("build")
        return await super()._create(request)

    async def _set_env(self, request: Any) -> Any:
        before = dict(self.env)
        answer = await super()._set_env(request)
        if before == self.env:
            self.ledger.without += 1
        else:
            self.ledger.effect("variable")
        return answer


class CountedConfigs(GlobalConfigs):
    """The document."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    async def _patch(self, request: Any) -> Any:
        before = self.items
        answer = await super()._patch(request)
        if before == self.items:
            self.ledger.without += 1
        else:
            self.ledger.effect("items")
        return answer


class CountedGrafana(Grafana):
    """Saves of dashboards, and writes of rules."""

    ledger: Ledger

    def _put(self, uid: str, saved: Any) -> None:
        super()._put(uid, saved)
        self.ledger.effect(f"dashboard {uid}")

    def _write_rule(self, request: Any, asked: dict[str, Any], status: int) -> Any:
        self.ledger.effect(f"rule {asked['uid']}")
        return super()._write_rule(request, asked, status)


class Process:
    """Whoever asks: the same block until it is said to begin anew."""

    def __init__(self, ref: str, server: Provider, fields: Mapping[str, Any], seed: int, clock: LoopClock) -> None:
        server.url = HOST
        self._server, self._ref, self._clock = server, ref, clock
        self._fields = {**fields, **{key: HOST for key in ("url", "api_url") if key in fields}}
        self._road = Road(random.Random(f"{seed} {ref}"), lost=LOST)
        self._clients: list[Client] = []
        self._asked = 0
        self._block = self._opened()

    async def until(self, ask: Callable[[Any], Awaitable[bool]]) -> None:
        """Asked every second until it is done; whatever fails is tried again."""
        for _ in range(TRIES):
            self._asked += 1
            if self._asked % ANEW == 0:
                self._block = self._opened()
            # What was asked is not looked at here.
            self._server.log.clear()
            try:
                if await ask(self._block):
                    return
            except CanaryError:
                pass
            await self._clock.sleep(1.0)
        raise AssertionError(f"{self._ref}: not done after {TRIES} tries")

    @property
    def calls(self) -> int:
        return sum(client.statuses.total() for client in self._clients)

    @property
    def lost(self) -> int:
        return sum(client.lost for client in self._clients)

    def _opened(self) -> Any:
        """Counters of clients that are gone are folded into one."""
        block = open_block(self._ref, self._fields, self._clock)
        client = through(block, Client(self._server, self._road))
        if self._clients:
            client.statuses.update(self._clients[0].statuses)
            client.lost += self._clients[0].lost
        self._clients = [client]
        return block


def showing(release: Release, share: float) -> Callable[[Any], Awaitable[bool]]:
    """Exposed, and verified."""

    async def ask(block: Any) -> bool:
        await block.expose(release, share, 1)
        return (await block.verify(release, share)).answer == "yes"

    return ask


_VARIABLES: dict[str, Any] = {"templating": {"list": []}}
Step = AsyncIterator[Process]


async def fly(ledger: Ledger, seed: int) -> Step:
    """The extra machine, half of the fleet, all of it, and back; six machines in two regions."""
    clock = LoopClock()
    server = CountedFly(clock)
    server.ledger = ledger
    for region in ("ams", "ams", "ams", "fra", "fra", "fra"):
        server.add(region)
    ledger._now.clear()
    process = Process("fly/api", server, server.fields(), seed, clock)
    release = Release(CANDIDATE, f"{STABLE}@{server.images[STABLE]}")

    async def prepared(block: Any) -> bool:
        await block.prepare(release)
        return True

    # The extra machine is made, and launched with the candidate: that is its one update.
    steps = [prepared, *(showing(release, share) for share in (0.5, 1.0, 0.0))]
    while True:
        for step in steps:
            ledger.begin()
            await process.until(step)
            for machine in server.machines.values():
                machine.versions.clear()
            yield process


async def vercel(ledger: Ledger, seed: int) -> Step:
    """10 %, 50 %, everybody, and back."""
    server, clock = CountedVercel(ledger), LoopClock()
    process = Process("vercel/web", server, server.fields(), seed, clock)
    release = Release("dpl_candidate", "dpl_stable")
    ledger._now.clear()
    while True:
        for share in (0.1, 0.5, 1.0, 0.0):
            ledger.begin()
            await process.until(showing(release, share))
            yield process


async def build(ledger: Ledger, seed: int) -> Step:
    """A flag built away, each time in a project as at first."""
    clock = LoopClock()
    server = CountedVercel(ledger)
    process = Process("vercel/web", server, server.fields(), seed, clock)

    async def off(block: Any) -> bool:
        return bool(await block.switch_off("NEXT_PUBLIC_ENABLE_FORECAST"))

    while True:
        fresh = CountedVercel(ledger)
        server.deployments, server.now, server.before, server.env = fresh.deployments, fresh.now, fresh.before, {}
        server.stages = []
        ledger._now.clear()
        await process.until(off)
        ledger.begin()
        yield process


async def config(ledger: Ledger, seed: int) -> Step:
    """On, and off."""
    server, clock = CountedConfigs(ledger), LoopClock()
    process = Process("global-config/flags", server, server.fields(), seed, clock)
    stable = '{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}'
    release = Release('{"phase1_enabled":true}', stable)
    while True:
        for share in (1.0, 0.0):
            ledger.begin()
            await process.until(showing(release, share))
            yield process


async def grafana(ledger: Ledger, seed: int) -> Step:
    """A dashboard and two rules, other ones each time."""
    server, clock = CountedGrafana(tokens={"glsa_bench": "Editor"}), LoopClock()
    server.ledger = ledger
    fields = {"url": HOST, "token": "glsa_bench", "datasource": "prom"}
    process = Process("grafana/board", server, fields, seed, clock)
    rule = AlertRule("errors", "", 60.0, "errors", {"severity": "critical"})
    number = 0
    while True:
        number += 1
        board = {"uid": "canary-bench", "title": f"number {number}", "tags": [TAG], "panels": [], **_VARIABLES}
        rules = [replace(rule, name=name, expr=f"up > {number}") for name in ("errors", "latency")]
        ledger.begin()
        await process.until(_done(lambda block, board=board: block.push(board)))
        await process.until(_done(lambda block, rules=rules: block.alerts("bench", rules)))
        yield process


def _done(verb: Callable[[Any], Awaitable[str]]) -> Callable[[Any], Awaitable[bool]]:
    async def ask(block: Any) -> bool:
        return bool(await verb(block))

    return ask


VENDORS: dict[str, Callable[[Ledger, int], Step]] = {
    "fly": fly,
    "vercel": vercel,
    "build": build,
    "config": config,
    "grafana": grafana,
}


async def _counted(what: str, seed: int, calls: int, cpu: float) -> Once:
    """Whole operations, until so many calls were made or so much processor time is used."""
    ledger, began = Ledger(), time.process_time()
    steps = VENDORS[what](ledger, seed)
    async for process in steps:
        if process.calls >= calls or time.process_time() - began >= cpu:
            break
    await steps.aclose()
    ledger.begin()
    used = time.process_time() - began
    return Once(
        what,
        process.calls,
        process.lost,
        ledger.operations,
        ledger.effects,
        ledger.most,
        ledger.without,
        round(used, 1),
    )


def measured(calls: int, cpu: float, seed: int) -> list[Once]:
    """CPU seconds that one vendor leaves are the next one's."""
    found, left = [], 1.0
    began = time.process_time()
    for what, weight in WEIGHTS.items():
        still = cpu - (time.process_time() - began)
        found.append(run(_counted(what, seed, round(calls * weight), still * weight / left)))
        left -= weight
    return found


def shown(found: list[Once]) -> list[str]:
    told = ["what        calls     lost  operations  effects  most of one  accepted without effect   CPU s"]
    for each in found:
        told.append(
            f"{each.what:8}  {each.calls:8,} {each.lost:8,}   {each.operations:8,} {each.effects:8,}  {each.most:11}"
            f"  {each.without:23,}  {each.cpu_seconds:6.1f}"
        )
    total = [sum(getattr(each, name) for each in found) for name in ("calls", "lost", "operations")]
    told.append(f"all       {total[0]:8,} {total[1]:8,}   {total[2]:8,}")
    return told
