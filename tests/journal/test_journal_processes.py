"""Several processes at one SQLite journal, and one that is killed in the middle."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from canary.journal.store import SqlJournal
from canary.ports import NewEntry
from canary.testing.journal_conformance import entry, numbers

RACER = """
import asyncio, sys
from canary.errors import Conflict
from canary.journal.store import SqlJournal
from canary.ports import NewEntry

async def race(url, name, rounds):
    journal = SqlJournal(url, answer_within=20)
    print("ready", flush=True)
    sys.stdin.readline()
    for after in range(rounds):
        try:
            await journal.append("r1", after, [NewEntry(0.0, "won", {"by": name})])
            print(after + 1, flush=True)
        except Conflict:
            pass
    await journal.close()

asyncio.run(race(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class Racer:
    """A process that appends behind 0, 1, 2 … when told to, and prints each number it won."""

    def __init__(self, stack: ExitStack, url: str, name: str, rounds: int) -> None:
        self.name = name
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [sys.executable, "-W", "error", "-c", RACER, url, name, str(rounds)]
        self.process = stack.enter_context(subprocess.Popen(command, text=True, **pipes))  # type: ignore[call-overload]
        stack.callback(self.process.kill)

    def line(self) -> str:
        return str(self.process.stdout.readline()).strip()

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def won(self) -> list[int]:
        """Every number it won, once it ended well."""
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return [int(line) for line in output.split()]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_processes_that_race_have_one_winner_each_time(stack: ExitStack, sqlite: SqlJournal, file: Path) -> None:
    """Three processes open a journal that is not there yet, at once, and append behind the same numbers.

    Each number has exactly one winner, and the journal says the same as the winners do.
    """
    racers = [Racer(stack, f"sqlite:///{file}", name, 40) for name in "abc"]
    assert [racer.line() for racer in racers] == ["ready"] * 3
    for racer in racers:
        racer.go()
    claimed = sorted((seq, racer.name) for racer in racers for seq in racer.won())
    journaled = [(line.seq, line.data["by"]) for line in await sqlite.read("r1")]
    assert claimed == journaled
    assert [seq for seq, _ in claimed] == list(range(1, 41))


async def test_a_journal_opened_many_times_at_once(tmp_path: Path) -> None:
    """However many connections are the first ones, each finds the file whole: none is told that it is locked."""
    for number in range(10):
        journals = [SqlJournal(f"sqlite:///{tmp_path}/{number}.db") for _ in range(8)]
        await asyncio.gather(*(journal.append(f"r{n}", 0, [entry(n)]) for n, journal in enumerate(journals)))
        assert len(await journals[0].rollouts()) == 8
        await asyncio.gather(*(journal.close() for journal in journals))


async def test_a_killed_process_leaves_a_readable_journal(stack: ExitStack, sqlite: SqlJournal, file: Path) -> None:
    """kill -9 among the appends: everything that was confirmed is there, without a gap, and appending goes on."""
    racer = Racer(stack, f"sqlite:///{file}", "a", 1_000_000)
    assert racer.line() == "ready"
    racer.go()
    confirmed = [int(racer.line()) for _ in range(50)]
    racer.process.kill()
    racer.process.wait()
    entries = await sqlite.read("r1")
    assert [line.seq for line in entries] == list(range(1, len(entries) + 1))
    assert len(entries) >= confirmed[-1]
    await sqlite.append("r1", len(entries), [NewEntry(0.0, "won", {"by": "b"})])
    with closing(sqlite3.connect(file)) as outside:
        assert outside.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert [json.loads(data) for (data,) in outside.execute("SELECT data FROM canary_events WHERE seq < 3")]


async def test_a_journal_outlives_its_process(sqlite: SqlJournal, file: Path) -> None:
    """Entries, plans, locks and epochs are there when the file is opened anew."""
    lock = await sqlite.take("docs", "r1", "first", 0.0, 20.0)
    await sqlite.append("r1", 0, [entry(1)], fence=lock)
    await sqlite.close()
    again = SqlJournal(f"sqlite:///{file}")
    assert numbers(await again.read("r1")) == [1]
    assert list(await again.locks()) == [lock]
    assert (await again.take("docs", "r1", "second", 20.0, 20.0)).epoch == 2
    await again.close()
