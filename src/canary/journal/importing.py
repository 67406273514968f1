"""An exported journal taken into a database: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage
from canary.journal.codec import encode
from canary.journal.fencing import FREED
from canary.journal.records import FORMAT, AnyRecord, End, EntryRecord, Head, PlanRecord, ServiceRecord, damaged, parsed
from canary.journal.store import SqlJournal
from canary.journal.tables import events, locks, plans, rollouts
from canary.ports import NewEntry

BATCH = 100
"""Entries that are inserted at once."""


@dataclass(slots=True)
class Taken:
    """What was taken in so far. `plans` counts the file's, also those that were there already."""

    plans: int = 0
    entries: int = 0
    rollouts: list[str] = field(default_factory=list)
    seq: int = 0


async def take_in(journal: SqlJournal, file: Path) -> Taken:
    """Imports what `export` has written, in one transaction. It counts as older than what is there.

    Raises BadUsage, and changes nothing, for a file that is torn, has been changed, or is of another format; for a
    rollout that is there already; and while any rollout is under way, here or there: it would have two conductors.
    """

    async def work(connection: AsyncConnection) -> Taken:
        await _nothing_under_way(connection)
        return await _Import(connection).run(_lines(file))

    return await journal.database.write("import", work)


def _lines(file: Path) -> Iterator[str]:
    try:
        # What is not ASCII is not of an export: it arrives as something that no JSON is.
        with file.open(encoding="ascii", errors="surrogateescape") as opened:
            yield from opened
    except OSError as error:
        raise BadUsage(
            f"{file} cannot be read: {error.strerror}", "name a file that canary journal export wrote"
        ) from None


class _Import:
    """One file on its way into one database."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._taken = Taken()
        self._waiting: list[dict[str, Any]] = []
        self._services: list[ServiceRecord] = []

    async def run(self, lines: Iterable[str]) -> Taken:
        for number, record in _whole(lines):
            await self._take(number, record)
        await self._flush()
        for service in self._services:
            await self._service(service)
        return self._taken

    async def _take(self, number: int, record: AnyRecord) -> None:
        match record:
            case EntryRecord():
                self._taken.entries += 1
                await self._entry(number, record)
            case PlanRecord():
                self._taken.plans += 1
                await self._plan(record)
            case ServiceRecord():
                self._services.append(record)
            case End():
                self._count(number, record)

    async def _entry(self, number: int, record: EntryRecord) -> None:
        if not self._taken.rollouts or record.rollout != self._taken.rollouts[-1]:
            await self._begin(number, record.rollout)
        if record.seq != self._taken.seq + 1:
            raise damaged(number, f"entry {self._taken.seq + 1} of rollout {record.rollout} is missing")
        self._taken.seq = record.seq
        data = encode(NewEntry(record.at, record.type, record.data))
        self._waiting.append({**record.model_dump(exclude={"kind"}), "data": data})
        if len(self._waiting) >= BATCH:
            await self._flush()

    async def _begin(self, number: int, rollout: str) -> None:
        await self._flush()
        if rollout in self._taken.rollouts:
            raise damaged(number, f"the entries of rollout {rollout} do not stand together")
        if await self._connection.scalar(select(rollouts.c.number).where(rollouts.c.id == rollout)) is not None:
            raise BadUsage(
                f"rollout {rollout} is in this journal already", "nothing was imported: no import changes a rollout"
            )
        older = await _before(self._connection, rollouts)
        await self._connection.execute(insert(rollouts), {"number": older, "id": rollout})
        self._taken.rollouts.append(rollout)
        self._taken.seq = 0

    async def _plan(self, record: PlanRecord) -> None:
        if await self._connection.scalar(select(plans.c.number).where(plans.c.hash == record.hash)) is None:
            older = await _before(self._connection, plans)
            await self._connection.execute(insert(plans), {"number": older, **record.model_dump(exclude={"kind"})})

    async def _service(self, record: ServiceRecord) -> None:
        """No epoch comes twice, here either."""
        if record.rollout in self._taken.rollouts:
            raise BadUsage(
                f"rollout {record.rollout} was under way when this was exported",
                "nothing was imported: let it end where it runs, and export it then",
            )
        row = locks.c.service == record.service
        known = await self._connection.scalar(select(locks.c.epoch).where(row))
        if known is None:
            free = {"rollout": None, "holder": "", "lease_until": FREED}
            await self._connection.execute(insert(locks), {"service": record.service, "epoch": record.epoch, **free})
        elif known < record.epoch:
            await self._connection.execute(update(locks).where(row).values(epoch=record.epoch))

    async def _flush(self) -> None:
        if self._waiting:
            await self._connection.execute(insert(events), self._waiting)
            self._waiting = []

    def _count(self, number: int, end: End) -> None:
        had = (self._taken.plans, len(self._services), self._taken.entries)
        if had != (end.plans, end.services, end.entries):
            raise damaged(number, "lines are missing before it")


def _whole(lines: Iterable[str]) -> Iterator[tuple[int, AnyRecord]]:
    """The records with their lines' numbers. Raises BadUsage for what does not begin and end as an export does."""
    number, record = 0, None
    for number, line in enumerate(lines, 1):
        if isinstance(record, End):
            raise damaged(number, "it stands behind the end")
        record = parsed(number, line)
        if isinstance(record, Head) != (number == 1):
            raise damaged(number, "an export begins with one line of kind export")
        if isinstance(record, Head) and record.format != FORMAT:
            raise BadUsage(
                f"the export has format {record.format}; this program reads {FORMAT}",
                "use the version of prefect-canary that wrote it, or a newer one",
            )
        yield number, record
    if not isinstance(record, End):
        raise damaged(number, "the file ends in the middle")


async def _nothing_under_way(connection: AsyncConnection) -> None:
    running = await connection.scalar(select(locks.c.rollout).where(locks.c.rollout.is_not(None)).limit(1))
    if running is not None:
        raise BadUsage(
            f"rollout {running} is under way in this journal, and would have to wait for the import",
            f"nothing was imported: let it end first (canary status {running})",
        )


async def _before(connection: AsyncConnection, table: Table) -> int:
    """A number below every one of the table's: who asks for the newest gets what was here first."""
    number: Column[int] = table.c.number
    least = await connection.scalar(select(func.min(number)))
    return 0 if least is None else least - 1
