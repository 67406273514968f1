"""The SQLite file itself: its modes and pragmas, and what happens when it is locked, moved, replaced or broken."""

# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
import traceback
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import JournalError, JournalUnavailable
from canary.journal.store import SqlJournal
from canary.testing.journal_conformance import entry, numbers

PLANTED = "hunter2"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
async def opened(sqlite: SqlJournal) -> SqlJournal:
    """The journal with one entry in it."""
    await sqlite.append("r1", 0, [entry(1)])
    return sqlite


async def test_only_this_user_reads_the_file(opened: SqlJournal, file: Path) -> None:
    """The folders are made with 0700, the database and what SQLite keeps beside it with 0600."""
    assert [mode(folder) for folder in (file.parent, file.parent.parent)] == [0o700, 0o700]
    assert {path.name: mode(path) for path in file.parent.iterdir()} == {
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
        "journal.db-shm": 0o600,
    }


async def test_every_connection_is_durable(opened: SqlJournal) -> None:
    """WAL, synchronous=FULL and foreign keys hold on each connection of the pool, not only on the first."""
    everybody = asyncio.Barrier(4)

    async def pragmas(connection: AsyncConnection) -> list[object]:
        await everybody.wait()
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [await connection.scalar(text(f"PRAGMA {name}")) for name in names]

    seen = await asyncio.gather(*(opened.database.read("pragma", pragmas) for _ in range(4)))
    assert seen == [["wal", 2, 1]] * 4


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_is_unavailable_in_time(
    opened: SqlJournal, outside: sqlite3.Connection, file: Path
) -> None:
    """While another program holds the write lock, an append is refused within the bound and reading goes on."""
    outside.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(JournalUnavailable, match=r"append.*journal\.db.*locked"):
        await opened.append("r1", 1, [entry(2)])
    assert time.monotonic() - began < 3
    assert numbers(await opened.read("r1")) == [1]
    outside.execute("ROLLBACK")
    await opened.append("r1", 1, [entry(3)])
    assert numbers(await opened.read("r1")) == [1, 3]


@pytest.mark.usefixtures("impatient")
async def test_many_at_a_locked_database_all_get_their_answer(opened: SqlJournal, outside: sqlite3.Connection) -> None:
    """Verbs that queue behind one another are each bounded, and the journal works again afterwards."""
    outside.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    calls = [opened.append(f"r{n}", 0, [entry(n)]) for n in range(2, 12)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - began < 3
    assert {type(outcome) for outcome in outcomes} == {JournalUnavailable}
    outside.execute("ROLLBACK")
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            await opened.append("r9", 0, [entry(9)])
            break
        except JournalUnavailable:
            continue
    assert numbers(await opened.read("r9")) == [9]


@pytest.mark.usefixtures("impatient")
async def test_a_verb_that_hangs_is_left_behind(opened: SqlJournal) -> None:
    """Work that does not even hear its cancellation does not hold up its caller."""
    over = asyncio.Event()

    async def deaf(_: AsyncConnection) -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    began = time.monotonic()
    with pytest.raises(JournalUnavailable, match="no answer within 1 s"):
        await opened.database.read("ponder", deaf)
    assert time.monotonic() - began < 3
    over.set()


@pytest.mark.usefixtures("impatient")
async def test_a_cancelled_caller_leaves_a_working_journal(opened: SqlJournal, outside: sqlite3.Connection) -> None:
    """An append whose caller gave up while it waited for the lock does not keep the lock."""
    outside.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(opened.append("r1", 1, [entry(2)]))
    await asyncio.wait({task}, timeout=0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outside.execute("ROLLBACK")
    await opened.append("r2", 0, [entry(3)])
    assert numbers(await opened.read("r2")) == [3]


async def test_a_moved_file_is_not_made_anew(opened: SqlJournal, file: Path) -> None:
    """Without its file the journal is unavailable, no empty one appears, and it works once the file is back."""
    away = file.with_name("away.db")
    file.rename(away)
    with pytest.raises(JournalUnavailable, match=r"read.*journal\.db"):
        await opened.read("r1")
    with pytest.raises(JournalUnavailable, match="append"):
        await opened.append("r1", 1, [entry(2)])
    assert not file.exists()
    away.rename(file)
    assert numbers(await opened.read("r1")) == [1]


async def test_a_replaced_file_is_not_written_to(opened: SqlJournal, file: Path) -> None:
    """Another file under the same name is not taken for the journal that was opened."""
    file.unlink()
    file.touch()
    with pytest.raises(JournalUnavailable, match="replaced"):
        await opened.append("r1", 1, [entry(2)])
    assert file.stat().st_size == 0


async def test_what_is_no_database_is_unavailable(sqlite: SqlJournal, file: Path) -> None:
    """A file with something else in it is reported with its name, and left as it was."""
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalUnavailable, match=r"journal\.db.*not a database"):
        await sqlite.read("r1")
    assert file.read_bytes() == b"not a database" * 100


@pytest.mark.parametrize("obstacle", ["folder in its place", "file in place of its folder"])
async def test_a_file_that_cannot_be_made(sqlite: SqlJournal, file: Path, obstacle: str) -> None:
    """What stands in the way of the database file is an unavailable journal, not an OSError."""
    if obstacle == "folder in its place":
        file.mkdir(parents=True)
    else:
        file.parent.parent.mkdir()
        file.parent.touch()
    with pytest.raises(JournalUnavailable, match="read"):
        await sqlite.read("r1")


async def test_a_closed_journal_says_so(opened: SqlJournal) -> None:
    """A verb after close is an error of its own; closing twice is once."""
    await opened.close()
    await opened.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        await opened.read("r1")


async def test_a_tampered_entry_is_named(opened: SqlJournal, outside: sqlite3.Connection) -> None:
    """Data that is no JSON object is an error with the rollout and the entry's number."""
    outside.execute("UPDATE canary_events SET data = '[1]'")
    with pytest.raises(JournalError, match="entry 1 of rollout r1"):
        await opened.read("r1")


async def test_a_traceback_shows_no_data(opened: SqlJournal, outside: sqlite3.Connection) -> None:
    """What was to be stored is in no part of an error, its causes included."""
    outside.execute("ALTER TABLE canary_events RENAME TO gone")
    with pytest.raises(JournalUnavailable, match="no such table") as caught:
        await opened.append("r1", 1, [entry(2, text=PLANTED)])
    outside.execute("ALTER TABLE gone RENAME TO canary_events")
    outside.execute("ALTER TABLE canary_events DROP COLUMN at")
    with pytest.raises(JournalUnavailable, match="no column") as second:
        await opened.append("r1", 1, [entry(2, text=PLANTED)])
    for error in (caught.value, second.value):
        assert PLANTED not in "".join(traceback.format_exception(error))


async def test_the_file_appears_in_wal_mode(sqlite: SqlJournal, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection has to switch a file that others open at the same time, which fails for some of them."""
    versions = []

    def link(draft: Path, name: Path) -> None:
        versions.append(draft.read_bytes()[18:20])
        draft.rename(name)
        draft.touch()

    monkeypatch.setattr(os, "link", link)
    await sqlite.read("r1")
    # The header's file format versions: 2 is WAL (sqlite.org/fileformat2.html).
    assert versions == [b"\x02\x02"]


async def test_a_path_with_unusual_characters(tmp_path: Path) -> None:
    """Spaces, percent and number signs and letters of any language may be in the file's path."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/a b%25%3Fü#&@.db")
    await journal.append("r1", 0, [entry(1)])
    await journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a b%?ü#&@.db"]


async def test_a_long_journal_is_read_page_by_page(opened: SqlJournal) -> None:
    """What is appended behind the first pages while somebody goes through them is found at the end."""
    await opened.append("r1", 1, [entry(n) for n in range(2, 251)])
    seen = []
    async for line in opened.lines("r1"):
        seen.append(line.data["number"])
        if line.seq == 120:
            await opened.append("r1", 250, [entry(251)])
    assert seen == list(range(1, 252))


async def test_whoever_stops_in_the_middle_of_a_journal_holds_nothing(
    opened: SqlJournal, outside: sqlite3.Connection
) -> None:
    """No transaction stays open between pages: the log can be emptied, and others write."""
    await opened.append("r1", 1, [entry(n) for n in range(2, 251)])
    lines = opened.lines("r1")
    assert (await anext(lines)).seq == 1
    busy, *_ = outside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy
    await opened.append("r1", 250, [entry(251)])


async def test_a_store_that_falls_silent_in_the_middle_is_unavailable(opened: SqlJournal, file: Path) -> None:
    """Some lines came, the next page does not: that is no end of the journal."""
    await opened.append("r1", 1, [entry(n) for n in range(2, 251)])
    seen: list[int] = []

    async def go_through() -> None:
        async for line in opened.lines("r1"):
            seen.append(line.seq)
            if line.seq == 1:
                file.rename(file.with_name("elsewhere.db"))

    with pytest.raises(JournalUnavailable, match="lines"):
        await go_through()
    assert seen == list(range(1, 101))
