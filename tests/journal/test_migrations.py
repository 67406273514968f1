"""The tables' revisions: made once, brought up from any earlier one, refused when newer, and out of the way else."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage, JournalUnavailable
from canary.journal import database, migrations
from canary.journal.revision import HEAD, KNOWN, TABLE
from canary.journal.store import SqlJournal
from canary.journal.tables import metadata
from canary.journal.vault import SqlVault
from canary.testing.journal_conformance import entry, numbers

OLD = Path(__file__).parent / "golden" / "before-revisions.sql"
KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="


@pytest.fixture
def old(file: Path) -> Path:
    """A journal that was made before revisions were counted."""
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(OLD.read_text())
    return file


def asked(file: Path, question: str) -> list[tuple[Any, ...]]:
    """What SQLite answers."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()


def tables(file: Path) -> set[str]:
    return {name for (name,) in asked(file, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_every_revision_is_known_without_alembic() -> None:
    """The list that is read at each start names what lies in the folder, in its order."""
    (folder,) = migrations.__path__
    script = ScriptDirectory(folder)
    assert [each.revision for each in reversed(list(script.walk_revisions()))] == list(KNOWN)
    assert script.get_current_head() == HEAD


async def differences(journal: SqlJournal) -> list[Any]:
    """Between the tables that the revisions leave and those that the program asks."""

    def compared(sync: Connection) -> list[Any]:
        context = MigrationContext.configure(sync, opts={"version_table": TABLE.name, "compare_type": True})
        return list(compare_metadata(context, metadata))

    async def work(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(compared)

    return await journal.database.read("compare", work)


async def test_the_revisions_make_the_tables_that_are_asked(sqlite: SqlJournal, file: Path) -> None:
    """A new database, brought up by every revision, has each table and column that the program knows, and no other."""
    assert await differences(sqlite) == []
    assert asked(file, "SELECT version_num FROM canary_revision") == [(HEAD,)]


async def test_a_journal_from_before_revisions_is_recognised(sqlite: SqlJournal, old: Path) -> None:
    """Its entries, plan, lock and sealed credentials are all there; from now on its revision is counted."""
    found = await sqlite.read("r1")
    assert (numbers(found), found[0].epoch) == ([1, 2], 1)
    assert await sqlite.plan_named("spring")
    assert (await sqlite.locks())[0].epoch == 1
    assert await SqlVault(sqlite.database, [KEY]).open("r1") == {"fly/api": {"token": "t"}}
    assert await differences(sqlite) == []
    assert asked(old, "SELECT version_num FROM canary_revision") == [(HEAD,)]


async def test_many_bring_an_old_journal_up_at_once(old: Path) -> None:
    """Ten programs start at the same time: each finds all entries, and it was done once."""
    journals = [SqlJournal(f"sqlite:///{old}", answer_within=10) for _ in range(10)]
    assert [numbers(found) for found in await asyncio.gather(*(each.read("r1") for each in journals))] == [[1, 2]] * 10
    await asyncio.gather(*(each.close() for each in journals))
    assert asked(old, "SELECT count(*) FROM canary_revision") == [(1,)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE canary_revision SET version_num = '0815'", f"revision 0815; this program knows 0001 to {HEAD}"),
        ("DROP TABLE canary_revision; UPDATE canary_schema SET version = 7", "revision schema 7"),
    ],
)
async def test_a_newer_revision_is_refused(sqlite: SqlJournal, file: Path, change: str, said: str) -> None:
    """Exit 2 with both numbers; nothing is written, and whoever had it open goes on."""
    await sqlite.append("r1", 0, [entry(1)])
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(change)
    later = SqlJournal(f"sqlite:///{file}")
    with pytest.raises(BadUsage, match=said) as caught:
        await later.append("r1", 1, [entry(2)])
    assert "newer one" in caught.value.fix
    await later.close()
    assert numbers(await sqlite.read("r1")) == [1]


async def test_a_revision_is_made_wholly_or_not_at_all(sqlite: SqlJournal, file: Path) -> None:
    """A table of somebody else's stands in the way of the last one: the others are not left behind half made."""
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE canary_vault (x)")
    with pytest.raises(JournalUnavailable, match=r"canary_vault already exists"):
        await sqlite.read("r1")
    assert tables(file) == {"canary_vault"}
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE canary_vault")
    assert not await sqlite.read("r1")


async def test_a_long_change_outlives_the_verb_that_began_it(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb is refused in its time, the change goes on and is begun only once, and a later verb finds it done."""
    may_end, begun = asyncio.Event(), []
    original = database.bring_up

    async def slow(connection: AsyncConnection, shown: str) -> None:
        begun.append(shown)
        await may_end.wait()
        await original(connection, shown)

    monkeypatch.setattr(database, "bring_up", slow)
    journal = SqlJournal(f"sqlite:///{old}", answer_within=0.5)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="no answer within"):
            await journal.read("r1")
    may_end.set()
    assert numbers(await journal.read("r1")) == [1, 2]
    assert len(begun) == 1
    await journal.close()


async def test_a_change_that_never_ends_holds_no_close_up(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process can leave, and the file is as it was."""

    async def never(connection: AsyncConnection, shown: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(database, "bring_up", never)
    journal = SqlJournal(f"sqlite:///{old}", answer_within=0.3)
    with pytest.raises(JournalUnavailable):
        await journal.read("r1")
    async with asyncio.timeout(5):
        await journal.close()
    assert "canary_revision" not in tables(old)


READER = """
import asyncio, sys
from canary.journal.store import SqlJournal

async def look(url):
    journal = SqlJournal(url)
    print(len(await journal.read("r1")), "alembic" in sys.modules)
    await journal.close()

asyncio.run(look(sys.argv[1]))
"""


def test_alembic_is_loaded_only_where_something_is_to_do(old: Path) -> None:
    """The first start brings the journal up; every one after it costs two questions and no import."""
    command = [sys.executable, "-W", "error", "-c", READER, f"sqlite:///{old}"]
    told = [subprocess.run(command, text=True, capture_output=True, timeout=60, check=True).stdout for _ in "12"]
    assert told == ["2 True\n", "2 False\n"]


def test_the_oldest_journal_kept_here_has_no_revision(tmp_path: Path) -> None:
    """What the tests above bring up was made by a program that counted none."""
    with closing(sqlite3.connect(tmp_path / "made.db")) as connection:
        connection.executescript(OLD.read_text())
    assert "canary_schema" in tables(tmp_path / "made.db")
    assert "canary_revision" not in tables(tmp_path / "made.db")
