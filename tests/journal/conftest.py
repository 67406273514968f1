"""A journal on a SQLite file, and its file seen from outside."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from canary.journal.store import SqlJournal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the journal's file will be, two folders below one that exists."""
    return tmp_path / "home" / "data" / "journal.db"


@pytest.fixture
def impatient() -> None:
    """The journal gives up after a second, where a lock or a hang is to be waited for; elsewhere a busy disk may be."""


@pytest.fixture
async def sqlite(file: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqlJournal]:
    within = 1.0 if "impatient" in request.fixturenames else 20.0
    journal = SqlJournal(f"sqlite:///{file}", answer_within=within)
    yield journal
    await journal.close()


@pytest.fixture
def outside(file: Path, sqlite: SqlJournal) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the same file. Open the journal before using it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as connection:
        yield connection
