"""One rollout on fakes, in virtual time: a world that can be told to fail, and processes that conduct in it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from canary.errors import JournalUnavailable, MeasurementFailed
from canary.plan.load import parse_plan
from canary.plan.model import Arms, Plan, Signal
from canary.ports import Entry, Increment, Lock, NewEntry, Response, Scrape, StoredPlan
from canary.rollout import events as e
from canary.rollout.adapters import Opener
from canary.rollout.conducting import Seat, Start, Stores, begin, conducting, pass_preflight, taking
from canary.rollout.conductor import Conductor
from canary.rollout.events import parse
from canary.rollout.folding import fold
from canary.rollout.people import enter
from canary.rollout.state import State
from canary.testing.fakes import (
    FakeBrowser,
    FakeClock,
    FakeDashboards,
    FakeEvidence,
    FakeNotifier,
    FakePlatform,
    FakeProbe,
    FakeTarget,
    MemoryShelf,
)
from canary.testing.journal import MemoryJournal, MemoryVault

ROLLOUT = "r1"
HASH = "a" * 64
STABLE, CANDIDATE = "1.0.0", "2.0.0"
SECRET = "s3cret-value"
SPRING: dict[str, Any] = json.loads((Path(__file__).parents[1] / "spring.json").read_text())
STAGING, CANARY, FULL = SPRING["phases"]
PLAN = {
    **SPRING,
    "notify": {"updates": ["terminal/all"], "page": ["terminal/oncall"]},
    "phases": [STAGING, {**CANARY, "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"}}, FULL],
}


class FlakyJournal(MemoryJournal):
    """A journal that can be away, full (it is read, and takes no line), or do what it was asked and lose the answer.

    last: `away` or `full`, and the type and data of the line behind which it is so.
    """

    away: bool = False
    full: bool = False
    lose_answers: int = 0
    last: tuple[str, str, Mapping[str, Any]] | None = None

    def _asked(self, writes: bool = True) -> None:
        if self.away or (writes and self.full):
            raise JournalUnavailable("the journal is away")

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        self._asked()
        done = await super().append(rollout, after, entries, fence)
        self._strike(entries)
        if self.lose_answers and entries:
            self.lose_answers -= 1
            raise JournalUnavailable("the answer was lost")
        return done

    def _strike(self, entries: Sequence[NewEntry]) -> None:
        if self.last is None:
            return
        fault, kind, data = self.last
        if any(entry.type == kind and data.items() <= entry.data.items() for entry in entries):
            setattr(self, fault, True)

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        self._asked(writes=False)
        return await super().read(rollout, after)

    async def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Lock:
        self._asked()
        return await super().take(service, rollout, holder, now, lease)

    async def renew(self, lock: Lock, now: float, lease: float) -> Lock:
        self._asked()
        return await super().renew(lock, now, lease)

    async def yield_lease(self, lock: Lock) -> None:
        self._asked()
        await super().yield_lease(lock)

    async def release(self, lock: Lock) -> None:
        self._asked()
        await super().release(lock)

    async def locks(self) -> Sequence[Lock]:
        self._asked(writes=False)
        return await super().locks()


@dataclass
class ListSpool:
    """A spool that keeps what it is given, in order."""

    added: list[tuple[str, NewEntry]] = field(default_factory=list)

    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None:
        self.added += [(rollout, entry) for entry in entries]

    async def flush(self, journal: MemoryJournal) -> None:
        """Behind the newest line, as the real one does."""
        for rollout, entry in self.added:
            await journal.append(rollout, len(await journal.read(rollout)), [entry])
        self.added.clear()


@dataclass
class SteadyMetrics:
    """A scrape `every` so many seconds with `rate` requests per second over both arms, split by its true share.

    bad: share of the canary's requests that fail. fails: why it cannot be read. hangs: it answers never.
    """

    clock: FakeClock
    platform: FakePlatform
    rate: float = 200.0
    bad: float = 0.0
    fails: str = ""
    hangs: bool = False
    starves: bool = False
    every: float = 15.0
    routed: int = 0

    async def check_connection(self) -> None:
        """Always there at preflight."""

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        if self.hangs:
            await self.clock.sleep(3600.0)
        if self.fails:
            raise MeasurementFailed(self.fails)
        ticks = range(int(since // self.every) + 1, int(until // self.every) + 1)
        for _ in range(max(self.routed + 1, ticks.start), ticks.stop):
            self.platform.serve(self.rate * self.every)
        self.routed = max(self.routed, ticks.stop - 1)
        return [Scrape(n * self.every, {name: self._arms() for name in signals}) for n in ticks]

    def _arms(self) -> dict[Any, Increment]:
        total, share = self.rate * self.every, self.platform.share()
        canary = 0.0 if self.starves else total * share
        return {"canary": Increment(canary, canary * self.bad), "baseline": Increment(total * (1 - share))}

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class World:
    """Everything around the processes: what they reach, and what outlives them."""

    clock: FakeClock
    document: dict[str, Any]
    journal: FlakyJournal = field(default_factory=FlakyJournal)
    vault: MemoryVault = field(default_factory=MemoryVault)
    spool: ListSpool = field(default_factory=ListSpool)
    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    oncall: FakeNotifier = field(default_factory=FakeNotifier)
    updates: FakeNotifier = field(default_factory=FakeNotifier)
    boards: FakeDashboards = field(default_factory=FakeDashboards)
    probe: FakeProbe = field(default_factory=FakeProbe)
    browser: FakeBrowser = field(default_factory=FakeBrowser)
    evidence: FakeEvidence = field(default_factory=FakeEvidence)
    platforms: dict[str, FakePlatform] = field(default_factory=dict)
    metrics: SteadyMetrics = field(init=False)
    loaded: list[str] = field(default_factory=list)
    folded: State = field(default_factory=lambda: State(ROLLOUT))

    def __post_init__(self) -> None:
        for name, spec in self.document["targets"].items():
            boolean = spec["use"].startswith("flags/")
            stable = "{}" if boolean else STABLE
            self.platforms[name] = FakePlatform(self.clock, stable, "boolean" if boolean else "fraction")
        first = next(iter(self.platforms.values()))
        self.metrics = SteadyMetrics(self.clock, first, every=15.0 / self.document.get("time_scale", 1.0))
        self.probe.answers["http://fake.invalid/"] = Response(200, {}, "fine")

    @property
    def stores(self) -> Stores:
        return Stores(self.journal, self.vault, self.spool, self.clock, self.shelf)

    @property
    def plan(self) -> Plan:
        return parse_plan(json.dumps(self.document))

    @property
    def opener(self) -> Opener:
        bearer = {"authorization": f"Bearer {SECRET}"}
        return Opener(
            self._block, lambda: self.probe, lambda: self.browser, lambda: self.evidence, lambda ref, fields: bearer
        )

    def _block(self, ref: str, fields: Mapping[str, Any]) -> object:
        assert fields == {"token": SECRET}, "an adapter is opened from what was sealed and read back"
        found = {"scraper/shop": self.metrics, "terminal/all": self.updates, "terminal/oncall": self.oncall}
        found["grafana/shop"] = self.boards
        for name, platform in self.platforms.items():
            found[self.document["targets"][name]["use"]] = FakeTarget(platform)
        return found[ref]

    async def load(self, ref: str) -> Mapping[str, Any]:
        """The fields of a block, where people edit them."""
        self.loaded.append(ref)
        return {"token": SECRET}

    # --- processes ------------------------------------------------------------------------------------------

    async def store(self) -> None:
        """The plan is deployed."""
        plan = self.plan
        await self.journal.store_plan(StoredPlan(HASH, plan.name, plan.service, json.dumps(self.document)))

    async def begin(self) -> None:
        await self.store()
        await begin(self.stores, Start(ROLLOUT, HASH, CANDIDATE, "Ann", "a test"))

    @asynccontextmanager
    async def conductor(self) -> AsyncIterator[tuple[Seat, Conductor]]:
        async with taking(self.stores, ROLLOUT) as seat:
            adapters = await pass_preflight(seat, self.load, self.opener)
            async with conducting(seat, adapters) as conductor:
                yield seat, conductor

    async def conduct(self) -> State:
        """Phase after phase, and the way back when one did not pass; the state at the end."""
        await self.begin()
        async with self.conductor() as (_, conductor):
            for phase in conductor.plan.phases:
                if phase.approval:
                    await conductor.await_approval(phase.name)
                await conductor.run_phase(phase.name)
                if conductor.state.rollback:
                    await conductor.finish_rollback()
                    return conductor.state
            for step in conductor.plan.closing:
                if (await conductor.close(step)).rollback:
                    await conductor.finish_rollback()
                    return conductor.state
            await conductor.promote()
            return conductor.state

    def start(self) -> asyncio.Task[State]:
        """A conductor's process."""
        return asyncio.create_task(self.conduct())

    async def struck(self, fault: str, line: str, **data: Any) -> asyncio.Task[State]:
        """A conductor's process, approved by both, whose journal is `away` or `full` right behind such a line."""
        self.journal.last = (fault, line, data)
        task = self.start()
        await self.approve("owner", "lead")
        while not getattr(self.journal, fault):
            await self.clock.sleep(1)
        return task

    async def die(self, task: asyncio.Task[Any]) -> None:
        """Killed on the spot: the process gives nothing back, so its lease stays to run out."""
        rows = dict(self.journal._locks)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.journal._locks.update(rows)

    def overtaken(self, kind: str, event: e.Event) -> None:
        """Somebody's line is journaled in the moment before the first one of that kind."""
        append = self.journal.append

        async def late(rollout: str, after: int, entries: Any, fence: Any = None) -> Any:
            if any(entry.type == kind for entry in entries):
                self.journal.append = append
                await append(rollout, after, [event.entry(self.clock.now())])
            return await append(rollout, after, entries, fence)

        self.journal.append = late

    async def closings(self) -> dict[str, e.ClosingDone]:
        """A whole rollout that is promoted; what its closing steps left in the journal, in their order."""
        task = self.start()
        await self.approve("owner", "lead")
        ended = (await task).ended
        assert ended is not None
        assert ended.outcome == "promoted"
        done = [parse(line) for line in await self.lines() if line.type == "closing_done"]
        return {event.step: event for event in done if isinstance(event, e.ClosingDone)}

    # --- people, and looking --------------------------------------------------------------------------------

    async def says(self, decision: e.Decision) -> State:
        """A person's entry."""
        return await enter(self.journal, self.clock, ROLLOUT, decision)

    async def approve(self, *roles: str, subject: str = "") -> None:
        """By these roles, once it is asked."""
        await self.until(lambda s: s.approval is not None)
        for role in roles:
            approval = (await self.state()).approval
            assert approval is not None
            by = {"by": role, "how": "a test", "reason": "fine"}
            await self.says(e.ApprovalGiven(role=role, subject=subject or approval.subject, **by))

    async def state(self) -> State:
        """The journal's, as the test sees it even while it is away for everybody else."""
        self.folded = fold(self.folded, await MemoryJournal.read(self.journal, ROLLOUT, self.folded.seq))
        return self.folded

    async def until(self, true: Callable[[State], bool], seconds: float = 40_000.0) -> State:
        """Looks twice a second, in virtual time, until the journal's state is so."""
        ends = self.clock.now() + seconds
        while self.clock.now() < ends:
            if true(state := await self.state()):
                return state
            await self.clock.sleep(0.5)
        raise AssertionError("the journal never came to that state")

    async def in_canary(self) -> State:
        """Approved, and judged at least once."""
        await self.approve("owner", "lead")
        return await self.until(lambda s: s.soaking == "canary" and s.verdict is not None)

    async def lines(self) -> list[Entry]:
        return list(await MemoryJournal.read(self.journal, ROLLOUT))

    async def types(self) -> list[str]:
        return [entry.type for entry in await self.lines()]

    def shares(self) -> list[float]:
        """The true exposure of every target."""
        return [platform.share() for platform in self.platforms.values()]

    def sent(self) -> list[float]:
        """The shares that the first target was asked for, in order."""
        return [sent.share for sent in next(iter(self.platforms.values())).sent]


def edited(edits: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's document with values put at dotted paths."""
    document = copy.deepcopy(PLAN)
    for path, value in edits.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = document
        for part in parents:
            place = place[part]
        place[last] = value
    return document


@pytest.fixture(autouse=True)
def threads_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time does not know of threads: what would wait in one is done on the spot."""

    async def inline(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", inline)


@pytest.fixture
def make_world() -> Callable[..., World]:
    """A maker of worlds: the plan, with edits by dotted path."""
    return lambda edits=None: World(FakeClock(), edited(edits or {}))


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def ended() -> Callable[[asyncio.Task[State]], Awaitable[State]]:
    """Waits for a conductor's end, and not for ever."""

    async def wait(task: asyncio.Task[State]) -> State:
        return await asyncio.wait_for(task, 20)

    return wait


@pytest.fixture
def person() -> Callable[..., dict[str, Any]]:
    """Who says something, and why."""
    return lambda by="Olga", reason="because": {"by": by, "how": "a test", "reason": reason}
