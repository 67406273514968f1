"""The same journal and vault on a real Postgres, which pytest starts on a socket of its own."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage, Conflict, JournalUnavailable
from canary.journal.exporting import export
from canary.journal.importing import take_in
from canary.journal.neighbours import PREFECTS, holds_prefect
from canary.journal.revision import HEAD, TABLE
from canary.journal.store import SqlJournal
from canary.journal.tables import metadata
from canary.journal.vault import SqlVault
from canary.ports import Journal, Vault
from canary.testing.journal_conformance import LEASE, NOW, JournalConformance, VaultConformance, entry, numbers

DATABASES = count()


class Server:
    """A Postgres below `folder`, reached through a socket there. Root runs it as the user postgres."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.user = "postgres" if os.geteuid() == 0 else None
        self.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-c listen_addresses= -c fsync=off -k {self.folder}"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def url(self) -> str:
        """The URL of a new, empty database."""
        name = f"canary{next(DATABASES)}"
        self.run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"


@pytest.fixture(scope="module")
def server(require: Callable[[str], Path]) -> Iterator[Server]:
    # Not tmp_path: another user has no way into it.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        started = Server(folder, require("initdb").resolve().parent)
        started.start()
        yield started
        started.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
async def postgres(server: Server) -> AsyncIterator[SqlJournal]:
    journal = SqlJournal(server.url(), answer_within=20.0)
    yield journal
    await journal.close()


class TestPostgresJournal(JournalConformance):
    @pytest.fixture
    def journal(self, postgres: SqlJournal) -> Journal:
        return postgres


class TestPostgresVault(VaultConformance):
    @pytest.fixture
    def vault(self, postgres: SqlJournal) -> Vault:
        return SqlVault(postgres.database, ["MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="])


async def test_first_opens_at_once(server: Server) -> None:
    """Eight programs make the tables at the same time; behind the same number one of them appends."""
    url = server.url()
    journals = [SqlJournal(url, answer_within=10) for _ in range(8)]
    racers = [journal.append("r1", 0, [entry(n)]) for n, journal in enumerate(journals)]
    outcomes = await asyncio.gather(*racers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 7
    assert len(await journals[0].read("r1")) == 1
    await asyncio.gather(*(journal.close() for journal in journals))


def differences(sync: Connection) -> list[Any]:
    """Between the tables that the revisions leave and those that the program asks."""
    ours = lambda thing, name, kind, *_: kind != "table" or name in metadata.tables  # noqa: E731
    options = {"version_table": TABLE.name, "compare_type": True, "include_object": ours}
    return list(compare_metadata(MigrationContext.configure(sync, opts=options), metadata))


async def test_a_journal_from_before_revisions_is_brought_up_beside_prefects(server: Server) -> None:
    """Eight programs start at once at a journal that counts no revisions, in a database with a revision of Prefect's:
    theirs stays, ours is counted, no entry is lost, and the tables are those that the program asks."""
    url = server.url()
    first = SqlJournal(url)
    await first.append("r1", 0, [entry(1)])

    async def age(connection: AsyncConnection) -> None:
        for change in ("CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('p1')"):
            await connection.execute(text(change))
        await connection.execute(text(f"DROP TABLE {TABLE.name}, canary_kernels"))

    await first.database.write("age", age)
    journals = [SqlJournal(url, answer_within=10) for _ in range(8)]
    assert [numbers(found) for found in await asyncio.gather(*(each.read("r1") for each in journals))] == [[1]] * 8

    async def look(connection: AsyncConnection) -> tuple[list[Any], ...]:
        revisions = await connection.execute(text(f"SELECT version_num FROM {TABLE.name}"))
        theirs = await connection.execute(text("SELECT version_num FROM alembic_version"))
        return [*revisions.scalars()], [*theirs.scalars()], await connection.run_sync(differences)

    assert await first.database.read("look", look) == ([HEAD], ["p1"], [])
    await asyncio.gather(*(each.close() for each in [first, *journals]))


async def test_a_restarted_server_is_found_again(server: Server, postgres: SqlJournal) -> None:
    """While the server is down the journal is unavailable; once it is back, old connections do no harm."""
    await postgres.append("r1", 0, [entry(1)])
    server.stop()
    began = time.monotonic()
    with pytest.raises(JournalUnavailable, match="append"):
        await postgres.append("r1", 1, [entry(2)])
    assert time.monotonic() - began < 5
    server.start()
    assert numbers(await postgres.read("r1")) == [1]


async def test_a_journal_moves_to_postgres_and_back(postgres: SqlJournal, tmp_path: Path) -> None:
    """A team that outgrows its SQLite file takes every entry along, and could go back; a second import is refused."""
    first, last = (SqlJournal(f"sqlite:///{tmp_path}/{name}.db") for name in ("first", "last"))
    lock = await first.take("docs", "r1", "host:1", NOW, LEASE)
    await first.append("r1", 0, [entry(n, text="ü✓\ud800\u0000") for n in range(250)], lock)
    await first.release(lock)
    await export(first, tmp_path / "one.jsonl")
    await take_in(postgres, tmp_path / "one.jsonl")
    with pytest.raises(BadUsage, match="in this journal already"):
        await take_in(postgres, tmp_path / "one.jsonl")
    await export(postgres, tmp_path / "two.jsonl")
    await take_in(last, tmp_path / "two.jsonl")
    assert list(await last.read("r1")) == list(await postgres.read("r1")) == list(await first.read("r1"))
    assert (tmp_path / "one.jsonl").read_text() == (tmp_path / "two.jsonl").read_text()
    assert (await postgres.take("docs", "r2", "host:1", NOW, LEASE)).epoch == 2
    await asyncio.gather(first.close(), last.close())


@pytest.mark.parametrize(
    ("state", "said"),
    [("53100", "the disk of the database server is full"), ("XX001", "the database is damaged"), ("57014", "Error")],
)
async def test_what_the_server_reports_is_said(postgres: SqlJournal, state: str, said: str) -> None:
    """A full disk or a damaged table, by the server's own error code, is told in our words; nothing is stored."""
    await postgres.append("r1", 0, [entry(1)])

    async def break_it(connection: AsyncConnection) -> None:
        raises = f"BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END"
        await connection.execute(text(f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ {raises} $$"))
        each = "BEFORE INSERT ON canary_events FOR EACH ROW EXECUTE FUNCTION fails()"
        await connection.execute(text(f"CREATE TRIGGER broken {each}"))

    await postgres.database.write("break", break_it)
    with pytest.raises(JournalUnavailable, match=f"append.*{said}.*could not extend file"):
        await postgres.append("r1", 1, [entry(2)])
    assert numbers(await postgres.read("r1")) == [1]


async def test_sealing_and_rotating_at_once_leaves_all_under_the_new_key(postgres: SqlJournal) -> None:
    """Conductors that hold both keys seal while it rotates: nothing is lost, and the new key opens everything."""
    old, new = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=", "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI="
    before, both = SqlVault(postgres.database, [old]), SqlVault(postgres.database, [new, old])
    for number in range(5):
        await before.seal(f"r{number}", {"b/b": {"n": number}})
    seals = (both.seal(f"r{number}", {"b/b": {"n": 10 + number}}) for number in range(3))
    await asyncio.gather(both.rotate(), *seals, both.rotate())
    opened = [await SqlVault(postgres.database, [new]).open(f"r{number}") for number in range(5)]
    assert [each["b/b"]["n"] for each in opened] == [10, 11, 12, 3, 4]


async def test_prefects_tables_are_seen_in_any_schema(server: Server, postgres: SqlJournal) -> None:
    """Prefect keeps its tables where its own settings say; one database is one database."""
    assert not await holds_prefect(postgres)

    async def make(connection: AsyncConnection) -> None:
        await connection.execute(text("create schema prefects"))
        for table in PREFECTS:
            await connection.execute(text(f"create table prefects.{table} (id integer)"))

    await postgres.database.write("make", make)
    assert await holds_prefect(postgres)
