"""One run: the script's world, the processes in it, and what they did, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos import processes
from bench.chaos.evidence import Bench, Meters, ProcessMetrics
from bench.chaos.faults import Answer, Blind, ByHand, ClockJump, Says, StoreAnswer, StoreOutage, Timed, Trouble
from bench.chaos.life import CURRENT, Fuses, Killed, Life, LifeClock, Role
from bench.chaos.loop import START, VirtualLoop
from bench.chaos.platform import Platform, ProcessTarget
from bench.chaos.prefect import ProcessRuns, Server
from bench.chaos.processes import HASH, ROLLOUT
from bench.chaos.script import SCALE, Script
from bench.chaos.store import Line, MachineSpool, ProcessJournal, ProcessVault, Store, at_once, kind
from canary.errors import BadUsage, CanaryError
from canary.ports import Response, StoredPlan
from canary.rollout.adapters import Opener
from canary.rollout.conducting import Stores
from canary.rollout.people import possible, read_state
from canary.testing.fakes import FakeBrowser, FakeEvidence, FakeNotifier, FakeProbe, MemoryShelf

LONGEST = 900.0
"""Seconds after which a run that has not ended never will: all faults and holds are over long before."""
MOST = 500
"""Lines after which whoever writes them is taken for a process that has lost its way, and killed."""
HOPELESS = MOST + 10
"""Lines after which so many have lost it that the run is not looked at any further."""
SETTLES = 32.0
"""Seconds for which the end is looked at: by then whatever was on its way has landed."""
GUARD_RESTARTS = 2.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended by itself: None for a good end."""

    at: float
    life: Life
    error: BaseException | None


@dataclass
class World:
    """Everything around the processes, and the record of what they did."""

    script: Script
    folder: Path
    loop: VirtualLoop
    fuses: Fuses = field(init=False)
    store: Store = field(init=False)
    platforms: dict[str, Platform] = field(init=False)
    meters: Meters = field(init=False)
    bench: Bench = field(init=False)
    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    oncall: FakeNotifier = field(default_factory=FakeNotifier)
    updates: FakeNotifier = field(default_factory=FakeNotifier)
    lives: list[Life] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    burnt: list[Timed] = field(default_factory=list)
    skews: dict[Role, float] = field(default_factory=dict)
    ended_at: float | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _about: Counter[str] = field(default_factory=Counter)
    _timed: dict[tuple[str, int, bool], list[Timed]] = field(default_factory=dict)
    _spools: dict[str, MachineSpool] = field(default_factory=dict)
    _last: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _busy_until: float = 0.0

    def __post_init__(self) -> None:
        faults = self.script.faults
        self.fuses = Fuses(faults)
        for fault in faults:
            if isinstance(fault, Timed):
                self._timed.setdefault((fault.when.type, fault.when.nth, fault.when.before), []).append(fault)
        self.store = Store({f.nth: f for f in faults if isinstance(f, StoreAnswer)})
        self.store.before, self.store.told = self._before, self._told
        answers = [f for f in faults if isinstance(f, Answer)]
        self.platforms = {
            name: Platform(name, {(a.verb, a.nth): a for a in answers if a.target == name})
            for name in self.script.targets
        }
        self.meters = Meters(self.platforms[self.script.targets[0]], 15.0 / SCALE, SCALE, self.script.bad)
        self.bench = Bench(self.script.streams)
        self.prefect = Server(self.script.prefect, lambda after: self._start("conductor", self._another(after)))

    # --- the run ---------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From the first line until everything has settled, or `LONGEST`."""
        body = json.dumps(self.script.document)
        await self.store.journal.store_plan(StoredPlan(HASH, "storm", "shop", body))
        self._now_and_later("")
        for number in range(self.script.guards):
            self._start("guard", self._guarding(number))
        self._start("conductor", self._conducting())
        while self.loop.time() < LONGEST and not (self._over() or self._never_begins() or self._lost()):  # noqa: ASYNC110
            await asyncio.sleep(1.0)
        if self._over():
            self.ended_at = self.loop.time()
            await asyncio.sleep(SETTLES)
        for life in self.lives:
            life.die()
        await self._clear_away()

    async def _clear_away(self) -> None:
        """What a dead process has left unwinds before the loop is closed."""
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    @property
    def untouched(self) -> bool:
        """Who wanted to begin it died before the first line: there is no rollout."""
        return not self.store.lines

    def _never_begins(self) -> bool:
        """Nobody is left who would."""
        if not self.untouched or self.loop.time() <= max(60.0, self._busy_until):
            return False
        gone = all(task.done() for task in self._tasks if task.get_name() == "conductor")
        return gone and not at_once(self.store.journal.locks())

    def _over(self) -> bool:
        """The rollout has ended and nobody has anything left to do."""
        if self._last != "rollout_ended" or self.loop.time() < self._busy_until:
            return False
        busy = any(not task.done() for task in self._tasks if task.get_name() == "once")
        return not busy and not at_once(self.store.journal.locks())

    def _lost(self) -> bool:
        return len(self.store.lines) > HOPELESS

    def _start(self, name: str, work: Any) -> None:
        self._tasks.append(self.loop.create_task(work, name=name))

    async def _conducting(self) -> None:
        """A conductor, and after its death the one that Prefect starts."""
        while True:
            life = self.born("conductor", "one")
            await self.run(life, lambda life=life: self._conduct(life))  # type: ignore[misc]
            if not life.dead or self.script.resume is None:
                return
            await asyncio.sleep(max(0.0, life.died_at + self.script.resume - self.loop.time()))

    async def _another(self, after: float) -> None:
        """A conductor that a guard has asked for."""
        await asyncio.sleep(after)
        life = self.born("conductor", "one")
        await self.run(life, lambda: self._conduct(life))

    async def _conduct(self, life: Life) -> None:
        await processes.conduct(self.stores(life), self.opener(life), self.bench.judge_of(life))

    async def _guarding(self, number: int) -> None:
        """A guard, started again whenever it has died."""
        await asyncio.sleep(0.37 * number)
        while True:
            life = self.born("guard", ("one", "other")[number])
            await self.run(
                life,
                lambda life=life: processes.guard(
                    self.stores(life), self.opener(life), ProcessRuns(life, self.prefect)
                ),
            )  # type: ignore[misc]
            await asyncio.sleep(GUARD_RESTARTS)

    def born(self, role: Role, machine: str) -> Life:
        life = Life(f"{role}-{len(self.lives)}", role, machine, self.fuses, self.skews.get(role, 0.0))
        self.lives.append(life)
        return life

    async def run(self, life: Life, work: Callable[[], Awaitable[None]]) -> None:
        """The process until its end. Death takes effect at once, though its tasks unwind later."""
        died = asyncio.Event()
        life.on_death.append(died.set)
        task = self.loop.create_task(self._alone(life, work))
        waiting = self.loop.create_task(died.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._tasks.append(task)

    async def _alone(self, life: Life, work: Callable[[], Awaitable[None]]) -> None:
        CURRENT.set(life)
        error: BaseException | None = None
        try:
            await work()
        except (Killed, BaseExceptionGroup) as killed:
            error = None if life.dead else killed
        except Exception as failed:
            error = failed
        if not life.dead:
            self.exits.append(Exit(self.loop.time(), life, error))

    # --- what a process reaches ------------------------------------------------------------------------------

    def stores(self, life: Life) -> Stores:
        journal, vault = ProcessJournal(life, self.store), ProcessVault(life, self.store)
        spool = self._spools.setdefault(life.machine, MachineSpool(self.folder / life.machine))
        return Stores(journal, vault, spool, LifeClock(life), _Shelf(life, self.shelf))

    def opener(self, life: Life) -> Opener:
        parts: dict[str, object] = {
            "scraper/shop": ProcessMetrics(life, self.meters),
            "terminal/all": self.updates,
            "terminal/oncall": self.oncall,
        }
        parts |= {f"envoy/{name}": ProcessTarget(life, platform) for name, platform in self.platforms.items()}
        probe = FakeProbe({"http://candidate.invalid/": Response(200, {}, "fine")})
        return Opener(lambda ref, _: parts[ref], lambda: probe, FakeBrowser, FakeEvidence, lambda ref, fields: {})

    # --- faults and people that wait for a line --------------------------------------------------------------

    def _told(self, line: Line) -> None:
        self._last = line.entry.type if line.entry.type in _LAST else self._last
        self._now_and_later(kind(line.entry.type, line.entry.data))
        if len(self.store.lines) > MOST:
            line.life.die()
        if line.entry.type == "approval_asked":
            self._once(self._approving())

    async def _approving(self) -> None:
        await asyncio.sleep(self.script.answers_after)
        await processes.approve(self.stores(self.born("person", "third")))

    def _now_and_later(self, type_: str) -> None:
        self._counts[type_] += 1
        for fault in self._timed.get((type_, self._counts[type_], False), ()):
            if fault.when.delay:
                self._busy_until = max(self._busy_until, self.loop.time() + fault.when.delay + 0.01)
                self.loop.call_later(fault.when.delay, self._happens, fault)
            else:
                self._happens(fault)

    def _before(self, life: Life, type_: str) -> None:
        """A person is faster by a moment."""
        if life.role == "person":
            return
        self._about[type_] += 1
        for fault in self._timed.get((type_, self._about[type_], True), ()):
            self._says_at_once(fault)

    def _happens(self, fault: Timed) -> None:
        self.burnt.append(fault)
        now = self.loop.time()
        match fault:
            case Says(what=what):
                life = self.born("person", "third")
                self._once(self.run(life, lambda: processes.say(self.stores(life), self.opener(life), what)))
            case ByHand(target=target, share=share):
                self.platforms[target].becomes(share, "hand")
            case Blind(kind=blind, seconds=seconds):
                self.meters.kind, self.meters.blind_since, self.meters.blind_until = blind, now, now + seconds
            case StoreOutage(seconds=seconds, slow=slow, full=full):
                self.store.silent_until, self.store.slow, self.store.full = now + seconds, slow, full
            case ClockJump(role=role, seconds=seconds):
                self._jump(role, seconds)
            case Trouble():
                self._trouble(fault, now)

    def _jump(self, role: Role, seconds: float) -> None:
        self.skews[role] = self.skews.get(role, 0.0) + seconds
        for life in self.lives:
            life.skew += seconds if life.role == role else 0.0

    def _trouble(self, fault: Trouble, now: float) -> None:
        platform = self.platforms[fault.target]
        match fault.kind:
            case "unreachable":
                platform.unreachable_until = now + fault.seconds
            case "refuses":
                platform.refuses_until = now + fault.seconds
            case "lies":
                platform.lies(fault.seconds)

    def _says_at_once(self, fault: Timed) -> None:
        assert isinstance(fault, Says)
        event = processes.decision(fault.what)
        try:
            possible(at_once(read_state(self.store.journal, ROLLOUT)), event, START + self.loop.time())
        except (BadUsage, CanaryError):
            return
        self.burnt.append(fault)
        life = self.born("person", "third")
        self.store.say(life, ROLLOUT, event.entry(LifeClock(life).now()))

    def _once(self, work: Any) -> None:
        self._start("once", work)


_LAST = ("rollout_ended", "abort_asked", "rollback_asked")


@dataclass(frozen=True, slots=True)
class _Shelf:
    """`ports.Shelf` of one process."""

    life: Life
    shelf: MemoryShelf

    async def put(self, rollout: str, name: str, text: str) -> str:
        return await self.life.cross(("put",), lambda: self.shelf.put(rollout, name, text))
