"""A journal as lines of text, to be kept, read or moved. Sealed credentials stay where they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sqlalchemy import RowMapping, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage, UnknownRollout
from canary.journal.files import appearing
from canary.journal.records import End, EntryRecord, Head, PlanRecord, Record, ServiceRecord
from canary.journal.store import SqlJournal
from canary.journal.tables import locks, plans


async def export(journal: SqlJournal, file: Path, rollout: str | None = None) -> End:
    """All rollouts, or one with its plan and its service, as a new file, mode 0600; how many records there are.

    The file appears whole or not at all. What is journaled meanwhile may be missing. Raises BadUsage for a file that
    exists or cannot be written, UnknownRollout, JournalUnavailable, and JournalError for a journal with a hole.
    """
    chosen = [rollout] if rollout else list(await journal.rollouts())
    record: Record = Head()
    try:
        with appearing(file) as written:
            async for record in _records(journal, chosen, everything=rollout is None):
                written.write(_line(record))
    except FileExistsError:
        raise BadUsage(f"{file} exists already", "name a new file: no export takes another one's place") from None
    except OSError as error:
        raise BadUsage(f"{file} cannot be written: {error.strerror}", "make room, or name another place") from error
    assert isinstance(record, End)
    return record


def _line(record: Record) -> str:
    # Not pydantic's own JSON, which knows no lone surrogates: a journal may hold them.
    return json.dumps(record.model_dump(), separators=(",", ":"), allow_nan=False) + "\n"


async def _records(journal: SqlJournal, chosen: Sequence[str], everything: bool) -> AsyncIterator[Record]:
    counted: Counter[str] = Counter()
    hashes: set[str] = set()
    services: set[str] = set()
    yield Head()
    for rollout in chosen:
        before = counted["entries"]
        async for entry in journal.lines(rollout):
            counted["entries"] += 1
            # What a rollout's first line names: the plan that it follows, and the service that it changes.
            hashes.add(entry.data.get("plan_hash", ""))
            services.add(entry.data.get("service", ""))
            yield EntryRecord(
                rollout=rollout, seq=entry.seq, at=entry.at, epoch=entry.epoch, type=entry.type, data=dict(entry.data)
            )
        if counted["entries"] == before:
            raise UnknownRollout(f"no rollout {rollout!r} in this journal", "canary status lists them")
    for row in await _rows(journal, select(plans).order_by(plans.c.number.desc())):
        if everything or row["hash"] in hashes:
            counted["plans"] += 1
            yield PlanRecord(hash=row["hash"], name=row["name"], service=row["service"], body=row["body"])
    # Last, so that a rollout that began meanwhile shows as under way.
    for row in await _rows(journal, select(locks).order_by(locks.c.service)):
        if everything or row["service"] in services:
            counted["services"] += 1
            yield ServiceRecord(service=row["service"], epoch=row["epoch"], rollout=row["rollout"])
    yield End(plans=counted["plans"], services=counted["services"], entries=counted["entries"])


async def _rows(journal: SqlJournal, query: Select[tuple[object, ...]]) -> Sequence[RowMapping]:
    async def work(connection: AsyncConnection) -> Sequence[RowMapping]:
        return (await connection.execute(query)).mappings().all()

    return await journal.database.read("export", work)
