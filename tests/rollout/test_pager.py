"""What is open is paged at once, and every five minutes until somebody has seen it or it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from canary.guard import Guard
from canary.rollout import events as e
from canary.testing.fakes import FakeNotifier

EVERY = 300.0


class Timed(FakeNotifier):
    """A notifier that knows when each page came, and whose platform `takes` so many seconds for it."""

    takes: float = 0.0
    clock: Any
    times: dict[str, list[float]]

    async def page(self, incident: str, summary: str) -> Any:
        self.times.setdefault(incident, []).append(self.clock.now())
        await self.clock.sleep(self.takes)
        return await super().page(incident, summary)


@pytest.fixture
def timed(world: Any) -> Timed:
    world.oncall = Timed("terminal/oncall")
    world.oncall.clock, world.oncall.times = world.clock, {}
    return world.oncall


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setattr("canary.rollout.conducting.holder", lambda: name)


async def stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def unverified(world: Any, ended: Any, person: Any) -> float:
    """An abort whose exposure 0 one platform never shows; when that was said."""
    task = world.start()
    await world.in_canary()
    world.platforms["web"].unreachable = True
    await world.says(e.AbortAsked(**person()))
    return float((await ended(task)).rollback.unverified_at)


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


async def test_an_unverified_rollback_pages_again_until_it_is_verified(
    world: Any, timed: Timed, ended: Any, person: Any, another_process: Any
) -> None:
    """The conductor pages and leaves; the guard goes on trying, and on paging every five minutes; with the target
    back, and the rollback verified, nobody is paged any more."""
    since = await unverified(world, ended, person)
    assert timed.times["r1:rollback"] == [pytest.approx(since, abs=1)]
    another_process("guard")
    guard = asyncio.create_task(Guard(world.stores, world.opener).watch())
    await world.clock.sleep(1600)
    times = timed.times["r1:rollback"]
    assert len(times) == 6
    assert all(EVERY <= gap < EVERY + 10 for gap in gaps(times))
    assert [summary.startswith("still on the way back") for _, summary in timed.pages] == [False] + [True] * 5
    assert all("could not be verified: web" in summary for _, summary in timed.pages)
    world.platforms["web"].unreachable = False
    state = await world.until(lambda s: s.ended is not None, 60)
    paged = len(timed.pages)
    await world.clock.sleep(1000)
    await stop(guard)
    assert (state.ended.outcome, len(timed.pages)) == ("rolled_back", paged)


async def test_an_unverified_rollback_that_somebody_has_seen_pages_no_more(
    world: Any, timed: Timed, ended: Any, person: Any, another_process: Any
) -> None:
    """It is tried on, in silence: each further try is the same incident."""
    await unverified(world, ended, person)
    await world.says(e.PageAcknowledged(**person("Olga", "on it")))
    another_process("guard")
    guard = asyncio.create_task(Guard(world.stores, world.opener).watch())
    await world.clock.sleep(2000)
    await stop(guard)
    assert len(timed.pages) == 1
    assert (await world.types()).count("rollback_unverified") > 2


async def test_a_clock_that_was_ahead_pages_nobody_without_end(
    world: Any, timed: Timed, ended: Any, person: Any, another_process: Any
) -> None:
    """The conductor's clock is a minute ahead of the guard's, which so takes over what is open since a moment to come,
    and no line says that it was paged: the guard pages once, and then every five minutes."""
    timed.takes = 5.0
    await unverified(world, ended, person)
    assert "paged" not in await world.types()
    timed.takes = 1.0
    timed.times.clear()
    world.clock.start -= 60.0
    another_process("guard")
    guard = asyncio.create_task(Guard(world.stores, world.opener).watch())
    await world.clock.sleep(700)
    await stop(guard)
    times = timed.times["r1:rollback"]
    assert len(times) == 3
    assert all(EVERY <= gap < EVERY + 10 for gap in gaps(times))


async def test_what_was_seen_before_does_not_hide_what_comes_later(
    world: Any, timed: Timed, ended: Any, person: Any
) -> None:
    """An acknowledged hold, then a rollback that cannot be verified: that one pages."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    await world.clock.sleep(5)
    await world.says(e.PageAcknowledged(**person("Olga", "seen")))
    world.platforms["web"].unreachable = True
    await world.says(e.AbortAsked(**person()))
    await ended(task)
    assert {incident: len(times) for incident, times in timed.times.items()} == {"r1:hold": 1, "r1:rollback": 1}


async def test_a_second_hold_is_paged_at_once(world: Any, timed: Timed, person: Any) -> None:
    """Resumed and held again: a new hold does not wait for the five minutes of the one before."""
    task = world.start()
    await world.in_canary()
    for _ in range(2):
        await world.says(e.HoldAsked(**person()))
        await world.until(lambda s: s.hold is not None and s.hold.until is not None, 60)
        await world.clock.sleep(20)
        await world.says(e.ResumeAsked(**person()))
        await world.until(lambda s: s.soaking == "canary" and s.verdict is not None, 60)
    await stop(task)
    assert len(timed.pages) == 2
    assert not any(summary.startswith("still") for _, summary in timed.pages)


async def test_a_silent_journal_pages_again_until_it_is_over(world: Any, timed: Timed) -> None:
    """The users are taken off; while that cannot be verified the outage is paged every five minutes, too."""
    world.document["rollback"] = {"within": "15m"}
    task = world.start()
    await world.in_canary()
    world.platforms["web"].unreachable = world.journal.away = True
    await world.clock.sleep(800)
    assert len(timed.times["r1:journal"]) == 3
    assert all(EVERY <= gap < EVERY + 3 for gap in gaps(timed.times["r1:journal"]))
    assert "the users are taken off" in timed.pages[0][1]
    world.platforms["web"].unreachable = False
    await asyncio.wait_for(task, 20)
    assert len(timed.times["r1:journal"]) == 3


async def test_a_page_says_how_to_stop_it(world: Any, timed: Timed, person: Any) -> None:
    """Whoever is woken reads what is wrong, and the command that says they have seen it."""
    task = world.start()
    await world.in_canary()
    await world.says(e.HoldAsked(**person("Ann", "lunch")))
    await world.until(lambda s: s.hold is not None and s.hold.until is not None, 60)
    await world.clock.sleep(2)
    await stop(task)
    incident, summary = timed.pages[0]
    assert incident == "r1:hold"
    assert summary == ("held in canary at 10%, a person must decide: Ann: lunch. Seen it? canary ack r1 --reason …")
