"""Journal and vault in memory: the rules of the real ones, without a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from canary.journal.codec import decode, encode
from canary.journal.envelope import Fields, missing, pack, unpack
from canary.journal.fencing import FREED, Row, conflict, held, lost, taken
from canary.ports import BACKTESTS, Entry, Lock, NewEntry, StoredPlan


@dataclass(frozen=True, slots=True)
class _Line:
    at: float
    epoch: int
    type: str
    data: str


@dataclass
class MemoryJournal:
    """`ports.Journal`. No verb waits, so that each is one step of its loop and all runs are the same."""

    _lines: dict[str, list[_Line]] = field(default_factory=dict)
    _plans: dict[str, StoredPlan] = field(default_factory=dict)
    _locks: dict[str, Row] = field(default_factory=dict)

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        epoch = fence.epoch if fence else 0
        new = [_Line(entry.at, epoch, entry.type, encode(entry)) for entry in entries]
        if fence and (fence.rollout != rollout or not held(self._locks.get(fence.service), fence)):
            raise lost(fence)
        if len(self._lines.get(rollout, ())) != after:
            raise conflict(rollout, after)
        if new:
            self._lines.setdefault(rollout, []).extend(new)
        return _entries(rollout, after, new)

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        return _entries(rollout, after, self._lines.get(rollout, [])[after:])

    async def lines(self, rollout: str, after: int = 0) -> AsyncIterator[Entry]:
        for entry in await self.read(rollout, after):
            yield entry

    async def rollouts(self) -> Sequence[str]:
        return tuple(stream for stream in reversed(self._lines) if not stream.startswith(BACKTESTS))

    async def store_plan(self, plan: StoredPlan) -> None:
        self._plans.pop(plan.hash, None)
        self._plans[plan.hash] = plan

    async def plan(self, plan_hash: str) -> StoredPlan | None:
        return self._plans.get(plan_hash)

    async def plan_named(self, name: str) -> StoredPlan | None:
        return next((plan for plan in reversed(self._plans.values()) if plan.name == name), None)

    async def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Lock:
        lock = taken(self._locks.get(service), Lock(service, rollout, 0, holder, now + lease), now)
        self._locks[service] = Row(service, rollout, lock.epoch, holder, lock.lease_until)
        return lock

    async def renew(self, lock: Lock, now: float, lease: float) -> Lock:
        row = self._locks.get(lock.service)
        if row is None or not held(row, lock):
            raise lost(lock)
        self._locks[lock.service] = replace(row, lease_until=now + lease)
        return replace(lock, lease_until=now + lease)

    async def yield_lease(self, lock: Lock) -> None:
        row = self._locks.get(lock.service)
        if row and held(row, lock):
            self._locks[lock.service] = replace(row, lease_until=FREED)

    async def release(self, lock: Lock) -> None:
        row = self._locks.get(lock.service)
        if row and held(row, lock):
            self._locks[lock.service] = Row(lock.service, None, lock.epoch, "", FREED)

    async def locks(self) -> Sequence[Lock]:
        rows = (row for _, row in sorted(self._locks.items()))
        return tuple(
            Lock(row.service, row.rollout, row.epoch, row.holder, row.lease_until)
            for row in rows
            if row.rollout is not None
        )

    async def close(self) -> None:
        """Nothing: what is in memory stays readable."""


@dataclass
class MemoryVault:
    """`ports.Vault`, in clear: for tests only."""

    _packed: dict[str, bytes] = field(default_factory=dict, repr=False)

    async def seal(self, rollout: str, fields: Fields) -> None:
        self._packed[rollout] = pack(rollout, fields)

    async def open(self, rollout: str) -> Fields:
        if rollout not in self._packed:
            raise missing(rollout)
        return unpack(rollout, self._packed[rollout])

    async def drop(self, rollout: str) -> None:
        self._packed.pop(rollout, None)


def _entries(rollout: str, after: int, lines: Sequence[_Line]) -> tuple[Entry, ...]:
    return tuple(
        Entry(rollout, seq, line.at, line.epoch, line.type, decode(rollout, seq, line.data))
        for seq, line in enumerate(lines, after + 1)
    )
