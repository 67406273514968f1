"""`canary status --watch` on a terminal: the live view, in virtual time."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from canary.cli.drawing import time_left
from canary.cli.watching import watch
from canary.errors import JournalUnavailable, UnknownRollout
from canary.ports import Entry
from canary.rollout import events as e
from canary.rollout.view import Left
from canary.testing.clock import FakeClock
from canary.testing.journal import MemoryJournal

ENDED = e.RolloutEnded(outcome="rolled_back", phase="canary", reason="too many errors", verified=True)


class AwayJournal(MemoryJournal):
    """Does not answer a read while it is away."""

    away: bool = False

    async def read(self, rollout: str, after: int = 0) -> tuple[Entry, ...]:
        if self.away:
            raise JournalUnavailable("the journal is away")
        return tuple(await super().read(rollout, after))


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def drawn(screen: Console) -> str:
    """Everything drawn so far; what was drawn is taken away."""
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    screen.file.seek(0)
    screen.file.truncate()
    return text


async def told(journal: MemoryJournal, events: list[e.Event], clock: FakeClock) -> None:
    after = len(await MemoryJournal.read(journal, "r1"))
    await journal.append("r1", after, [event.entry(clock.now()) for event in events])


async def test_the_view_follows_journal_and_clock_until_the_end(shop: Any, plan: Any, screen: Console) -> None:
    """A new verdict is drawn, the time left shrinks in plan time and by the clock, the end ends the view."""
    journal, clock = AwayJournal(), FakeClock()
    await journal.store_plan(plan)
    await told(journal, [*shop.until_canary(), shop.judged(2)], clock)
    watching = asyncio.create_task(watch(journal, clock, "r1", screen))
    await clock.sleep(1)
    first = drawn(screen)
    assert "30:00 of the soak left in plan time, 3:00 by the clock" in first
    assert "0.10%" in first
    await told(journal, [shop.judged(8)], clock)
    await clock.sleep(60)
    then = drawn(screen)
    assert "0.40%" in then
    assert "20:00 of the soak left in plan time, 2:00 by the clock" in then
    await told(journal, [ENDED], clock)
    assert (await asyncio.wait_for(watching, 5)).ended == ENDED
    assert "rolled back in canary at 10%: too many errors" in drawn(screen)


async def test_a_journal_that_is_away_is_said_and_waited_for(shop: Any, screen: Console) -> None:
    """The view does not die of it, says since when, and goes on when the journal is back."""
    journal, clock = AwayJournal(), FakeClock()
    await told(journal, shop.until_canary(), clock)
    watching = asyncio.create_task(watch(journal, clock, "r1", screen))
    await clock.sleep(1)
    assert "does not answer" not in drawn(screen)
    journal.away = True
    await clock.sleep(10)
    assert "the journal does not answer since 9 s" in drawn(screen)
    journal.away = False
    await clock.sleep(1)
    assert "does not answer" not in drawn(screen).rpartition("r1: shop")[2]
    await told(journal, [ENDED], clock)
    assert (await asyncio.wait_for(watching, 5)).ended == ENDED


async def test_an_unverified_rollback_ends_the_view(shop: Any, screen: Console) -> None:
    """Somebody was paged: this window need not wait for the end of it."""
    journal, clock = AwayJournal(), FakeClock()
    off = {"web": e.Shown(answer="no", observed=0.1, detail="still 10%")}
    back = [e.RollbackStarted(cause="fail", reason="too many errors")]
    await told(journal, [*shop.until_canary(), *back, e.RollbackUnverified(targets=off, waited_seconds=300)], clock)
    state = await asyncio.wait_for(watch(journal, clock, "r1", screen), 5)
    assert state.ended is None
    assert "unverified in canary" in drawn(screen)


async def test_an_unknown_rollout_is_said_before_anything_is_drawn(screen: Console) -> None:
    """No empty view."""
    with pytest.raises(UnknownRollout):
        await watch(AwayJournal(), FakeClock(), "r9", screen)
    assert drawn(screen) == ""


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (Left("hold", 0.0, 3700.0, 3700.0), "1:01:40 of the hold left"),
        (Left("approval", 0.0, 60.0, 600.0), "10:00 of the approval left in plan time, 1:00 by the clock"),
        (Left("rollback", 0.0, 299.6, None), "5:00 of the rollback left"),
        (Left("soak", 0.0, 0.0, 0.0), "the soak is over its time"),
    ],
)
def test_time_is_told_twice_only_where_it_differs(left: Left, words: str) -> None:
    """Plan time and the clock are the same but in a demonstration; a rollback has no plan time."""
    assert time_left(left) == words


@pytest.mark.parametrize(("term", "live"), [("xterm", True), ("dumb", False)])
def test_the_command_draws_on_a_terminal_that_can_be_drawn_on(desk: Any, shop: Any, term: str, live: bool) -> None:
    """Drawn with its table on a terminal; lines of text on a dumb one, where nothing can be drawn anew."""
    desk.tell("r1", [*shop.until_canary(), shop.judged(2), ENDED])
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "canary", "status", "r1", "--watch"]
    env = {**os.environ, "TERM": term, "COLUMNS": "120"}
    done = subprocess.run(argv, stdout=theirs, stderr=subprocess.PIPE, env=env, check=False, timeout=60)
    os.write(theirs, b"end")
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert ("0.10%" in shown) == live
    assert (b"rolled back: too many errors" in done.stderr) != live
