"""A full disk, a damaged file, a torn last write: each is found, said, and survived where it can be."""

# ruff: noqa: ASYNC221, ASYNC240

from __future__ import annotations

import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import JournalError, JournalUnavailable
from canary.journal.soundness import damage
from canary.journal.store import SqlJournal
from canary.testing.journal_conformance import entry, numbers

PLANTED = "hunter2"


@pytest.fixture
async def opened(sqlite: SqlJournal) -> SqlJournal:
    """The journal with one entry in it."""
    await sqlite.append("r1", 0, [entry(1)])
    return sqlite


async def limit(journal: SqlJournal, pages: int) -> None:
    """The file may grow by so many pages more, on every connection that the pool holds."""

    async def work(connection: AsyncConnection) -> None:
        used = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count={used + pages}"))

    await journal.database.write("limit", work)


async def test_a_full_disk_is_said_and_nothing_half_is_stored(opened: SqlJournal, file: Path) -> None:
    """The disk is named, and what to do; once there is room it goes on behind the same entry."""
    await limit(opened, 3)
    with pytest.raises(JournalUnavailable, match=r"append.*disk of .*journal\.db is full(.|\n)*make room") as caught:
        await opened.append("r1", 1, [entry(2, text=PLANTED), entry(3, text="x" * 100_000)])
    assert PLANTED not in str(caught.value)
    assert numbers(await opened.read("r1")) == [1]
    await limit(opened, 1000)
    await opened.append("r1", 1, [entry(2, text="x" * 100_000)])
    assert numbers(await opened.read("r1")) == [1, 2]
    assert damage(file, 5.0) == ""


LIMITED = """
import asyncio, resource, sys
from canary.errors import JournalUnavailable
from canary.journal.store import SqlJournal
from canary.ports import NewEntry

async def fill(url):
    journal = SqlJournal(url)
    await journal.append("r1", 0, [NewEntry(0.0, "noted", {"number": 1})])
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        await journal.append("r1", 1, [NewEntry(0.0, "noted", {"number": 2, "text": "x" * 500_000})])
    except JournalUnavailable as error:
        print(error)
    await journal.append("r1", 1, [NewEntry(0.0, "noted", {"number": 3})])
    await journal.close()

asyncio.run(fill(sys.argv[1]))
"""


async def test_a_disk_that_fails_a_write_is_said(sqlite: SqlJournal, file: Path) -> None:
    """The operating system itself refuses a write (a limit on the size of files): not stored, told as the disk's
    failure, and the journal goes on with what fits."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    file.parent.mkdir(parents=True)
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, f"sqlite:///{file}"],
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert f"the disk of {file} failed: OperationalError: disk I/O error" in told.stdout
    assert numbers(await sqlite.read("r1")) == [1, 3]


async def test_a_damaged_page_is_said_with_what_to_do(opened: SqlJournal, file: Path) -> None:
    """Garbled in the middle of its tables: the file is named as damaged, by the verb that meets the page."""
    await opened.append("r1", 1, [entry(n, text="x" * 2000) for n in range(2, 100)])
    await opened.close()
    content = bytearray(file.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    file.write_bytes(content)
    again = SqlJournal(f"sqlite:///{file}")
    with pytest.raises(
        JournalUnavailable, match=r"journal\.db: the database is damaged(.|\n)*restore it from a backup"
    ):
        await again.read("r1")
    await again.close()
    assert damage(file, 5.0)


def test_a_look_at_the_pages_is_bounded(tmp_path: Path) -> None:
    """With no time at all it says that it does not know: that is not the same as sound."""
    file = tmp_path / "large.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", (("x" * 900,) for _ in range(20_000)))
        connection.commit()
    assert damage(file, 0.0) is None
    assert damage(file, 20.0) == ""


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    """And so is a file that is not there; none is made."""
    file = tmp_path / "none.db"
    assert "unable to open" in (damage(file, 1.0) or "")
    assert not file.exists()
    file.write_bytes(b"not a database" * 100)
    assert "not a database" in (damage(file, 1.0) or "")


async def test_a_hole_is_no_journal(opened: SqlJournal, outside: sqlite3.Connection) -> None:
    """An entry that is missing before others is named, by `read` and by `lines`, on the first page and behind it."""
    await opened.append("r1", 1, [entry(n) for n in range(2, 251)])
    for gone in (200, 2):
        outside.execute(f"DELETE FROM canary_events WHERE seq = {gone}")
        with pytest.raises(JournalError, match=f"entry {gone} of rollout r1 is missing"):
            await opened.read("r1")
        with pytest.raises(JournalError, match=f"entry {gone} of rollout r1 is missing"):
            assert [line async for line in opened.lines("r1")]
    assert numbers(await opened.read("r1", 200)) == list(range(201, 251))


WRITER = """
import asyncio, os, sys
from canary.journal.store import SqlJournal
from canary.ports import NewEntry

async def write(url):
    journal = SqlJournal(url)
    for number in range(1, 21):
        await journal.append("r1", number - 1, [NewEntry(0.0, "noted", {"number": number, "text": "x" * 3000})])
    print("done", flush=True)
    sys.stdin.readline()

asyncio.run(write(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal whose process was killed: twenty appends, none of them moved out of the log yet."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-W", "error", "-c", WRITER, f"sqlite:///{folder}/journal.db"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "done\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return folder


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.75, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("how", ["cut", "garbled"])
async def test_a_torn_last_write_is_survived(killed: Path, tmp_path: Path, how: str, share: float) -> None:
    """Whatever is left of the log from some point on, cut off or garbled: the journal opens at the last whole append
    before it, without a hole, and takes the next one."""
    shutil.copytree(killed, tmp_path / "copy")
    log = tmp_path / "copy" / "journal.db-wal"
    content = log.read_bytes()
    kept = int(len(content) * share)
    rest = b"" if how == "cut" else random.Random(kept).randbytes(len(content) - kept)
    log.write_bytes(content[:kept] + rest)
    journal = SqlJournal(f"sqlite:///{tmp_path}/copy/journal.db")
    found = numbers(await journal.read("r1"))
    assert found == list(range(1, len(found) + 1))
    assert len(found) == 20 if share == 1.0 else len(found) <= 20 * share
    await journal.append("r1", len(found), [entry(99)])
    assert numbers(await journal.read("r1")) == [*found, 99]
    await journal.close()
    assert damage(tmp_path / "copy" / "journal.db", 5.0) == ""


def test_the_torn_log_held_everything(killed: Path, tmp_path: Path) -> None:
    """With its log the copy that the test above tears holds all twenty appends, without it not one."""
    for kept, held in (("journal.db*", 20), ("journal.db", 0)):
        folder = tmp_path / str(held)
        folder.mkdir()
        for path in killed.glob(kept):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(folder / "journal.db")) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'canary_events'").fetchone()
            rows = connection.execute("SELECT seq FROM canary_events").fetchall() if tables == (1,) else []
        assert len(rows) == held
