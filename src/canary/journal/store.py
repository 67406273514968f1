"""The journal in a SQL database: SQLite (one file) or Postgres."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Select, Update, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.journal.codec import decode, encode, hole
from canary.journal.database import ANSWER_WITHIN, Database
from canary.journal.fencing import FREED, Row, conflict, held, lost, taken
from canary.journal.place import see_nobody_elsewhere, sign
from canary.journal.tables import events, locks, plans, rollouts
from canary.ports import BACKTESTS, Entry, Lock, NewEntry, StoredPlan
from canary.settings import Settings


def open_journal(url: str | None = None, home: Path | None = None, env: Mapping[str, str] = os.environ) -> SqlJournal:
    """The journal at `url`, else at CANARY_JOURNAL_URL, else in the SQLite file <home>/data/journal.db.

    Nothing is opened before the first verb. Raises BadUsage for a URL that cannot be used.
    """
    return SqlJournal(url or Settings.from_env(env, home).journal_url)


PAGE = 100
"""Lines that are asked for at once when somebody goes through a whole journal: some megabytes at the most."""


class SqlJournal:
    """`ports.Journal` on SQLAlchemy, for one event loop.

    Each verb answers or raises JournalUnavailable within `answer_within` seconds. After that a write may
    have been stored or not: read before trying again.
    """

    def __init__(self, url: str, *, answer_within: float = ANSWER_WITHIN) -> None:
        self.database = Database(url, answer_within)

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        """See the port. LeaseLost goes before Conflict; a fence is good for its own rollout only."""
        epoch = fence.epoch if fence else 0
        rows = [_event(rollout, seq, epoch, new) for seq, new in enumerate(entries, after + 1)]

        async def work(connection: AsyncConnection) -> None:
            if fence:
                await _hold(connection, rollout, fence)
            if await _newest(connection, rollout) != after:
                raise conflict(rollout, after)
            if rows and after == 0:
                await connection.execute(insert(rollouts), {"id": rollout})
            if rows:
                await connection.execute(insert(events), rows)

        await self.database.write("append", work)
        return tuple(_entry(row, row["seq"]) for row in rows)

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        """See the port. Raises JournalError for a journal with a hole."""
        rows = await self._rows("read", _behind(rollout, after))
        return tuple(_entry(row, seq) for seq, row in enumerate(rows, after + 1))

    async def lines(self, rollout: str, after: int = 0) -> AsyncIterator[Entry]:
        """See the port. Each page has the time of a verb; its lines are decoded as they are asked for: thousands of
        them at once would keep the garbage collector busy for longer than the decoding takes."""
        while True:
            rows = await self._rows("lines", _behind(rollout, after).limit(PAGE))
            for seq, row in enumerate(rows, after + 1):
                yield _entry(row, seq)
            if len(rows) < PAGE:
                return
            after += PAGE

    async def rollouts(self) -> Sequence[str]:
        known = select(rollouts).where(~rollouts.c.id.startswith(BACKTESTS)).order_by(rollouts.c.number.desc())
        rows = await self._rows("rollouts", known)
        return tuple(row["id"] for row in rows)

    async def store_plan(self, plan: StoredPlan) -> None:
        """Keep the plan as the newest of its name, also when it was stored before."""
        row = {"hash": plan.hash, "name": plan.name, "service": plan.service, "body": plan.body}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(plans).where(plans.c.hash == plan.hash))
            await connection.execute(insert(plans), row)

        await self.database.write("store_plan", work)

    async def plan(self, plan_hash: str) -> StoredPlan | None:
        rows = await self._rows("plan", select(plans).where(plans.c.hash == plan_hash))
        return next(map(_plan, rows), None)

    async def plan_named(self, name: str) -> StoredPlan | None:
        newest = select(plans).where(plans.c.name == name).order_by(plans.c.number.desc()).limit(1)
        return next(map(_plan, await self._rows("plan_named", newest)), None)

    async def take(self, service: str, rollout: str, holder: str, now: float, lease: float) -> Lock:
        wanted = Lock(service, rollout, 0, holder, now + lease)

        async def work(connection: AsyncConnection) -> Lock:
            if self.database.here:
                await see_nobody_elsewhere(connection, self.database.here)
            row = await _row(connection, service)
            lock = taken(row, wanted, now)
            values = {
                "rollout": rollout,
                "epoch": lock.epoch,
                "holder": holder,
                "lease_until": lock.lease_until,
            }
            if row is None:
                await connection.execute(insert(locks), {"service": service, **values})
            else:
                await connection.execute(update(locks).where(locks.c.service == service).values(values))
            if self.database.here:
                await sign(connection, lock, self.database.here)
            return lock

        return await self.database.write("take", work)

    async def renew(self, lock: Lock, now: float, lease: float) -> Lock:
        renewed = replace(lock, lease_until=now + lease)
        if not await self._change("renew", _where(lock).values(lease_until=renewed.lease_until)):
            raise lost(lock)
        return renewed

    async def yield_lease(self, lock: Lock) -> None:
        await self._change("yield_lease", _where(lock).values(lease_until=FREED))

    async def release(self, lock: Lock) -> None:
        await self._change("release", _where(lock).values(rollout=None, holder="", lease_until=FREED))

    async def locks(self) -> Sequence[Lock]:
        busy = select(locks).where(locks.c.rollout.is_not(None)).order_by(locks.c.service)
        return tuple(Lock(**row) for row in await self._rows("locks", busy))

    async def close(self) -> None:
        await self.database.close()

    async def _rows(self, verb: str, query: Any) -> Sequence[RowMapping]:
        async def work(connection: AsyncConnection) -> Sequence[RowMapping]:
            return (await connection.execute(query)).mappings().all()

        return await self.database.read(verb, work)

    async def _change(self, verb: str, change: Update) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(change)).rowcount > 0

        return await self.database.write(verb, work)


async def _newest(connection: AsyncConnection, rollout: str) -> int:
    return await connection.scalar(select(func.max(events.c.seq)).where(events.c.rollout == rollout)) or 0


async def _row(connection: AsyncConnection, service: str, shared: bool = False) -> Row | None:
    # The row lock keeps an append and a taking apart on Postgres; on SQLite there is one writer anyway.
    query = select(locks).where(locks.c.service == service).with_for_update(read=shared)
    found = (await connection.execute(query)).mappings().one_or_none()
    return Row(**found) if found else None


async def _hold(connection: AsyncConnection, rollout: str, fence: Lock) -> None:
    row = await _row(connection, fence.service, shared=True)
    if fence.rollout != rollout or not held(row, fence):
        raise lost(fence)


def _where(lock: Lock) -> Update:
    return update(locks).where(
        locks.c.service == lock.service, locks.c.rollout == lock.rollout, locks.c.epoch == lock.epoch
    )


def _behind(rollout: str, after: int) -> Select[Any]:
    return select(events).where(events.c.rollout == rollout, events.c.seq > after).order_by(events.c.seq)


def _event(rollout: str, seq: int, epoch: int, new: NewEntry) -> dict[str, Any]:
    data = encode(new)
    return {"rollout": rollout, "seq": seq, "at": new.at, "epoch": epoch, "type": new.type, "data": data}


def _entry(row: Mapping[str, Any] | RowMapping, seq: int) -> Entry:
    if row["seq"] != seq:
        raise hole(row["rollout"], seq)
    data = decode(row["rollout"], row["seq"], row["data"])
    return Entry(row["rollout"], row["seq"], row["at"], row["epoch"], row["type"], data)


def _plan(row: RowMapping) -> StoredPlan:
    return StoredPlan(row["hash"], row["name"], row["service"], row["body"])
