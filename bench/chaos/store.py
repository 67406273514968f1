"""The journal and the vault as the processes reach them: the real rules in memory, behind answers that go astray."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.chaos.faults import StoreAnswer
from bench.chaos.life import Life
from canary.errors import CanaryError, JournalUnavailable
from canary.journal.spool import Spool
from canary.ports import Entry, Journal, Lock, NewEntry, StoredPlan
from canary.testing.journal import MemoryJournal, MemoryVault

T = TypeVar("T")
GIVES_UP = 2.0
"""Seconds after which a process takes the journal for silent (canary.journal.database.ANSWER_WITHIN)."""


@dataclass
class Lines(MemoryJournal):
    """The journal; a line is read from its JSON once, and not again by each who asks."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        new = await super().append(rollout, after, entries, fence)
        self.entries.setdefault(rollout, []).extend(new)
        return new

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        return self.entries.get(rollout, [])[after:]


class MachineSpool(Spool):
    """The files of one machine: not looked for before there was ever one."""

    used = False

    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None:
        self.used = True
        super().add(rollout, entries)

    async def flush(self, journal: Journal) -> None:
        if self.used:
            await super().flush(journal)


@dataclass(frozen=True, slots=True)
class Line:
    """A journal's line, by whom it was written, and when that truly was: seconds since the run's begin."""

    at: float
    life: Life
    entry: Entry


@dataclass(frozen=True, slots=True)
class Looked:
    """A process's last look into the journal: when its answer came, and up to which line it reached.

    frozen: seconds for which the process had stood still by then.
    """

    answered: float
    frozen: float
    seq: int


NEVER = Looked(-1.0, 0.0, 0)
LOOKED: ContextVar[Looked] = ContextVar("LOOKED", default=NEVER)
"""By the running task, or by the one that started it."""


@dataclass
class Store:
    """What outlives all processes. `told` hears of each line as it is written, `before` as it is about to be."""

    answers: Mapping[int, StoreAnswer]
    journal: Lines = field(default_factory=Lines)
    vault: MemoryVault = field(default_factory=MemoryVault)
    lines: list[Line] = field(default_factory=list)
    taken: dict[int, float] = field(default_factory=dict)
    silent_until: float = 0.0
    slow: bool = False
    full: bool = False
    writes: int = 0
    hit: set[StoreAnswer] = field(default_factory=set)
    before: Callable[[Life, str], None] = lambda life, kind: None
    told: Callable[[Line], None] = lambda line: None

    async def write(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await self.reached(writes=True)
        self.writes += 1
        answer = self.answers.get(self.writes)
        if answer is None:
            return at_once(work())
        self.hit.add(answer)
        match answer.kind:
            case "slow":
                done = at_once(work())
                await asyncio.sleep(min(answer.delay, 0.9 * GIVES_UP))
                return done
            case "unanswered":
                at_once(work())
            case "late":
                asyncio.get_running_loop().call_later(answer.delay, _in_vain(work))
        await asyncio.sleep(GIVES_UP)
        raise _silent()

    async def reached(self, writes: bool = False) -> None:
        """Raises JournalUnavailable while it answers nobody, or, on a full disk, no write."""
        if self.full and not writes:
            return
        if asyncio.get_running_loop().time() < self.silent_until:
            await asyncio.sleep(GIVES_UP if self.slow else 0.0)
            raise _silent()

    def append(self, life: Life, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None) -> Any:
        """The write itself; what is about to be written by a conductor is announced first."""

        async def work() -> Sequence[Entry]:
            for entry in entries:
                self.before(life, kind(entry.type, entry.data))
            done = await self.journal.append(rollout, after, entries, fence)
            for each in done:
                self.lines.append(Line(asyncio.get_running_loop().time(), life, each))
            for line in self.lines[-len(done) :] if done else ():
                self.told(line)
            return done

        return work

    def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Any:
        """The taking of a lock; when it had its effect is remembered by its epoch."""

        async def work() -> Lock:
            lock = await self.journal.take(service, rollout, holder, now, lease)
            self.taken[lock.epoch] = asyncio.get_running_loop().time()
            return lock

        return work

    def say(self, life: Life, rollout: str, entry: NewEntry) -> None:
        """A line that is there at once, whatever answers or not."""
        after = len(at_once(self.journal.read(rollout)))
        at_once(self.append(life, rollout, after, [entry], None)())


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("the journal in memory waited for something")


def _in_vain(work: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], None]:
    def done() -> None:
        with contextlib.suppress(CanaryError):
            at_once(work())

    return done


def _silent() -> JournalUnavailable:
    return JournalUnavailable("the journal does not answer")


def boundaries(entries: Sequence[NewEntry]) -> tuple[str, ...]:
    """The names under which an append is crossed: one for each type of line, a raise apart from a lowering."""
    return tuple(dict.fromkeys(f"append {kind(entry.type, entry.data)}" for entry in entries))


def kind(type_: str, data: Mapping[str, Any]) -> str:
    if type_ in ("exposure_intended", "exposure_observed"):
        return f"{type_}:{'up' if data['share'] > 0 else 'down'}"
    return type_


@dataclass(frozen=True, slots=True)
class ProcessJournal:
    """`ports.Journal` of one process."""

    life: Life
    store: Store

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        work = self.store.append(self.life, rollout, after, entries, fence)
        found: Sequence[Entry] = await self._write(boundaries(entries), work)
        self._looked(after + len(entries))
        return found

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        if self.life.stopped:
            await self.life.thaw()
        await self.store.reached()
        found = at_once(self.store.journal.read(rollout, after))
        self._looked(after + len(found))
        if self.life.stopped:
            await self.life.thaw()
        return found

    async def lines(self, rollout: str, after: int = 0) -> AsyncIterator[Entry]:
        for entry in await self.read(rollout, after):
            yield entry

    async def rollouts(self) -> Sequence[str]:
        return await self._read(self.store.journal.rollouts)

    async def store_plan(self, plan: StoredPlan) -> None:
        await self._write(("store_plan",), lambda: self.store.journal.store_plan(plan))

    async def plan(self, plan_hash: str) -> StoredPlan | None:
        return await self._read(lambda: self.store.journal.plan(plan_hash))

    async def plan_named(self, name: str) -> StoredPlan | None:
        return await self._read(lambda: self.store.journal.plan_named(name))

    async def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Lock:
        return await self._write(("take",), self.store.take(service, rollout, holder, now, lease))

    async def renew(self, lock: Lock, now: float, lease: float) -> Lock:
        return await self._write(("renew",), lambda: self.store.journal.renew(lock, now, lease))

    async def yield_lease(self, lock: Lock) -> None:
        await self._write(("yield_lease",), lambda: self.store.journal.yield_lease(lock))

    async def release(self, lock: Lock) -> None:
        await self._write(("release",), lambda: self.store.journal.release(lock))

    async def locks(self) -> Sequence[Lock]:
        return await self._read(self.store.journal.locks)

    async def close(self) -> None:
        """Nothing to close."""

    async def _write(self, names: Sequence[str], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self.life.cross(names, lambda: self.store.write(work))

    async def _read(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.life.stopped:
            await self.life.thaw()
        await self.store.reached()
        return at_once(work())

    def _looked(self, seq: int) -> None:
        LOOKED.set(Looked(asyncio.get_running_loop().time(), self.life.frozen_seconds, seq))


@dataclass(frozen=True, slots=True)
class ProcessVault:
    """`ports.Vault` of one process."""

    life: Life
    store: Store

    async def seal(self, rollout: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
        await self._cross("seal", lambda: self.store.vault.seal(rollout, fields))

    async def open(self, rollout: str) -> Mapping[str, Mapping[str, Any]]:
        if self.life.stopped:
            await self.life.thaw()
        await self.store.reached()
        return await self.store.vault.open(rollout)

    async def drop(self, rollout: str) -> None:
        await self._cross("drop", lambda: self.store.vault.drop(rollout))

    async def _cross(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def effect() -> None:
            await self.store.reached()
            await work()

        await self.life.cross((name,), effect)
