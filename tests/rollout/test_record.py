"""The journal as one process sees it: appending once, telling in any case, and knowing when it is too silent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from canary.errors import Conflict, JournalUnavailable, LeaseLost
from canary.ports import Entry
from canary.rollout import events as e
from canary.rollout.record import SILENT_AFTER, Record
from canary.testing.journal import MemoryJournal

PHASE = e.PhaseStarted(phase="staging")
PAGE = e.Paged(incident="i", summary="s", receipts=())


@pytest.fixture
async def record(world: Any) -> Record:
    """Of a rollout that has begun, read once."""
    await world.begin()
    record = Record(world.journal, world.clock, "r1", world.spool)
    await record.refresh()
    return record


def abort(person: Any, world: Any) -> Any:
    return e.AbortAsked(**person()).entry(world.clock.now())


async def test_what_is_decided_stands_behind_what_it_was_decided_from(record: Record, world: Any) -> None:
    """A decision is appended, folded and known: the next one follows from it."""
    await record.decide(PHASE)
    await record.decide(e.SoakStarted(phase="staging", due=1.0))
    assert (record.state.phase, record.state.soaking) == ("staging", "staging")
    assert await world.types() == ["rollout_started", "phase_started", "soak_started"]


async def test_a_decision_is_refused_once_somebody_else_has_spoken(record: Record, world: Any, person: Any) -> None:
    """An abort since the last look: Conflict, and nothing was appended; after a look it can be decided anew."""
    await world.journal.append("r1", 1, [abort(person, world)])
    with pytest.raises(Conflict):
        await record.decide(PHASE)
    assert await world.types() == ["rollout_started", "abort_asked"]
    await record.refresh()
    await record.decide(PHASE)
    assert record.state.stop is not None


async def test_a_receipt_does_not_hide_an_abort_from_a_decision(record: Record, world: Any, person: Any) -> None:
    """The abort was folded by telling something else: a decision that was taken before it is refused all the same."""
    await world.journal.append("r1", 1, [abort(person, world)])
    await record.tell(PAGE)
    with pytest.raises(Conflict):
        await record.decide(PHASE)
    assert "phase_started" not in await world.types()


async def test_facts_are_told_whatever_was_appended_meanwhile(record: Record, world: Any, person: Any) -> None:
    """A fact is a fact: it goes behind the abort, which is folded on the way."""
    await world.journal.append("r1", 1, [abort(person, world)])
    await record.tell(PAGE)
    assert await world.types() == ["rollout_started", "abort_asked", "paged"]
    assert record.state.stop is not None


async def test_a_lost_answer_makes_no_second_line(record: Record, world: Any, person: Any) -> None:
    """The append happened and its answer was lost, and somebody spoke before it was tried again."""
    world.journal.lose_answers = 1
    telling = asyncio.create_task(record.tell(PHASE, PAGE))
    await world.clock.sleep(0.25)
    await world.journal.append("r1", 3, [abort(person, world)])
    await telling
    assert await world.types() == ["rollout_started", "phase_started", "paged", "abort_asked"]
    assert (record.state.phase, record.state.stop is not None) == ("staging", True)


async def test_what_another_task_has_folded_is_not_told_again(record: Record, world: Any) -> None:
    """The answer was lost, and a look of somebody else in this process came before the next try."""
    world.journal.lose_answers = 1
    telling = asyncio.create_task(record.tell(PAGE))
    await world.clock.sleep(0.25)
    await record.refresh()
    await telling
    assert await world.types() == ["rollout_started", "paged"]


async def test_a_lost_answer_and_a_failing_look_make_no_second_line(record: Record, world: Any) -> None:
    """The answer was lost, and the look that would tell fails too: it is tried again, not given up nor spooled."""
    world.journal.lose_answers = 1
    read, failures = world.journal.read, [True]

    async def fails_once(*args: Any) -> Sequence[Entry]:
        if failures:
            failures.pop()
            raise JournalUnavailable("busy")
        found: Sequence[Entry] = await read(*args)
        return found

    world.journal.read = fails_once  # type: ignore[method-assign]
    await record.insist(PHASE)
    assert await world.types() == ["rollout_started", "phase_started"]
    assert world.spool.added == []


async def test_it_is_too_silent_after_ten_seconds(record: Record, world: Any) -> None:
    """Counted from the first unanswered question, in real seconds; one answer makes it good again."""
    world.journal.away = True
    for seconds, too_silent in ((0.0, False), (SILENT_AFTER - 0.1, False), (0.1, True)):
        await world.clock.sleep(seconds)
        with pytest.raises(JournalUnavailable):
            await record.newer()
        assert record.too_silent is too_silent
    world.journal.away = False
    await record.refresh()
    assert not record.too_silent


async def test_telling_gives_up_after_ten_seconds(record: Record, world: Any) -> None:
    """Until then it tries again; then JournalUnavailable, so that its caller takes users off the candidate."""
    world.journal.away = True
    asked = world.clock.now()
    with pytest.raises(JournalUnavailable):
        await record.tell(PHASE)
    assert world.clock.now() - asked == pytest.approx(SILENT_AFTER, abs=1.0)


async def test_insisting_spools_and_goes_on(record: Record, world: Any) -> None:
    """Without a journal the lines wait in the spool, and the state goes on as if they were in it."""
    world.journal.away = True
    await record.insist(e.RollbackStarted(cause="fail", reason="bad"), PAGE)
    assert [line.type for _, line in world.spool.added] == ["rollback_started", "paged"]
    assert record.state.rollback is not None
    assert record.state.rollback.reason == "bad"


async def test_what_was_spooled_goes_first(record: Record, world: Any) -> None:
    """When the journal is back, the next line stands behind the spooled ones, and nothing is left in the spool."""
    world.journal.away = True
    await record.insist(e.RollbackStarted(cause="fail", reason="bad"))
    world.journal.away = False
    await record.insist(e.RollbackVerified(targets={}))
    assert await world.types() == ["rollout_started", "rollback_started", "rollback_verified"]
    assert world.spool.added == []
    assert record.state.seq == 3


async def test_a_fence_that_is_gone_stops_every_line(record: Record, world: Any) -> None:
    """Another process took the lock: neither decisions nor facts of this one reach the journal."""
    record.lock = await world.journal.take("shop", "r1", "one", world.clock.now(), 0.0)
    await world.journal.take("shop", "r1", "two", world.clock.now() + 1, 20.0)
    for append in (record.decide, record.tell, record.insist):
        with pytest.raises(LeaseLost):
            await append(PHASE)
    assert await world.types() == ["rollout_started"]


async def test_listeners_hear_every_line_once_with_the_state_after_it(record: Record, world: Any, person: Any) -> None:
    """One's own lines and other people's, in the journal's order."""
    heard: list[tuple[int, str]] = []
    record.listeners.append(lambda state, event: heard.append((state.seq, event.type)))
    await record.decide(PHASE)
    await world.journal.append("r1", 2, [abort(person, world)])
    await record.tell(PAGE)
    await record.refresh()
    assert heard == [(2, "phase_started"), (3, "abort_asked"), (4, "paged")]


async def test_news_are_others_lines(record: Record, world: Any, person: Any) -> None:
    """One's own lines are none; looking for news folds nothing."""
    await record.decide(PHASE)
    assert not await record.newer()
    await MemoryJournal.append(world.journal, "r1", 2, [abort(person, world)])
    assert await record.newer()
    assert record.state.stop is None
