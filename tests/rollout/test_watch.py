"""After full exposure: what is bad is seen, paged, and undone when the plan says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canary.errors import BadUsage, JournalUnavailable
from canary.ports import Increment, Scrape
from canary.rollout import events as e
from canary.rollout.watching import watch_once

WATCHED = {"watch": {"for": "1h", "every": "5m"}}


async def live(world: Any) -> None:
    """Everybody is on the candidate, and five minutes have passed."""
    task = world.start()
    await world.approve("owner", "lead")
    assert (await task).ended.outcome == "promoted"
    await world.clock.sleep(300)


async def look(world: Any, number: int = 1) -> Any:
    """One look; the state after it."""
    return await watch_once(world.stores, "r1", number, world.opener)


@pytest.fixture
def watched(make_world: Any) -> Any:
    return make_world(WATCHED)


async def test_a_healthy_release_wakes_nobody(watched: Any) -> None:
    """The block of all five minutes is journaled with its verdict, and nobody is paged."""
    await live(watched)
    state = await look(watched)
    (line,) = [line for line in await watched.lines() if line.type == "watched"]
    assert line.data["seconds"] == pytest.approx(300, abs=20)
    assert line.data["verdict"]["outcome"] == "PASS"
    assert (state.watch_bad, watched.oncall.pages) == (False, [])


async def test_a_limit_that_breaks_after_promotion_pages(watched: Any) -> None:
    """Reason, numbers and the command that goes back; users stay, since the plan says page."""
    await live(watched)
    watched.metrics.bad = 0.05
    await watched.clock.sleep(300)
    state = await look(watched)
    ((incident, summary),) = watched.oncall.pages
    assert incident == "r1:watch"
    assert "errors 5 %" in summary
    assert "canary rollback r1" in summary
    assert state.ended.outcome == "promoted"
    assert watched.shares() == [1.0, 1.0]


async def test_it_pages_at_each_look_until_somebody_has_seen_it(watched: Any, person: Any) -> None:
    """Bad at three looks, seen after the second page: two pages. Good and bad again: a third one."""
    await live(watched)
    watched.metrics.bad = 0.05
    for number in (1, 2, 3):
        await watched.clock.sleep(300)
        await look(watched, number)
        if number == 2:
            await watched.clock.sleep(1)
            await watched.says(e.PageAcknowledged(**person("Olga", "on it")))
    assert len(watched.oncall.pages) == 2
    for number, bad in ((4, 0.0), (5, 0.05)):
        watched.metrics.bad = bad
        await watched.clock.sleep(300)
        await look(watched, number)
    assert len(watched.oncall.pages) == 3


async def test_it_goes_back_when_the_plan_says_so(make_world: Any) -> None:
    """then: rollback: exposure 0 on every target, verified, by the watch, and somebody is paged."""
    world = make_world({"watch": {"for": "1h", "every": "5m", "then": "rollback"}})
    await live(world)
    world.metrics.bad = 0.05
    await world.clock.sleep(300)
    state = await look(world)
    assert (state.ended.outcome, state.ended.verified, world.shares()) == ("rolled_back", True, [0.0, 0.0])
    assert "the watch after full exposure" in state.rollback.reason
    assert world.oncall.pages


async def test_silence_is_bad(watched: Any) -> None:
    """Nobody is left on the old version: where nothing completes, nothing completes at all."""
    await live(watched)
    await look(watched)
    watched.metrics.starves = True
    await watched.clock.sleep(300)
    await look(watched, 2)
    assert "no completed request since the last look" in watched.oncall.pages[-1][1]


async def test_a_source_without_a_memory_is_looked_at_for_a_while(watched: Any) -> None:
    """Its first read counts nothing, and is no silence: what it counts within the next minute is judged, and said."""
    await live(watched)
    read, reads = watched.metrics.read, []

    async def forgetful(*asked: Any) -> Any:
        reads.append(asked)
        found = await read(*asked)
        # A gauge shows its value at the first look; a counter has nothing to count from.
        nothing = {"memory": {"canary": Increment(0.0, last=5.0)}, "errors": {"canary": Increment(0.0)}}
        return found if len(reads) > 1 else [Scrape(found[-1].at, nothing)]

    watched.metrics.read = forgetful
    state = await look(watched)
    (line,) = [line for line in await watched.lines() if line.type == "watched"]
    assert line.data["seconds"] == pytest.approx(60, abs=1)
    assert (state.watch_bad, watched.oncall.pages) == (False, [])


async def test_metrics_that_cannot_be_read_are_no_verdict(watched: Any) -> None:
    """Neither good nor bad, and somebody is told that nobody looks."""
    await live(watched)
    watched.metrics.fails = "the disk is full"
    state = await look(watched)
    assert (await watched.types())[-2:] == ["watch_blind", "paged"]
    assert "sees nothing: the disk is full" in watched.oncall.pages[-1][1]
    assert watched.shares() == [1.0, 1.0]
    assert state.ended.outcome == "promoted"


async def test_a_look_is_done_once(watched: Any) -> None:
    """Run again by a retry or a second worker, it adds no line."""
    await live(watched)
    await look(watched)
    lines = len(await watched.lines())
    await look(watched)
    assert len(await watched.lines()) == lines


async def test_a_rollout_that_went_back_is_not_watched(watched: Any, person: Any) -> None:
    """Nothing is read and nobody is paged."""
    from canary.rollout.by_hand import bring_back

    await live(watched)
    await bring_back(watched.stores, "r1", e.RollbackAsked(**person()), watched.opener)
    pages = len(watched.oncall.pages)
    state = await look(watched)
    assert (state.ended.outcome, len(watched.oncall.pages)) == ("rolled_back", pages)


async def test_without_credentials_it_says_so(watched: Any) -> None:
    """Once they were dropped there is nothing to look with."""
    await live(watched)
    await watched.vault.drop("r1")
    with pytest.raises(BadUsage, match="rollback window of r1 is closed"):
        await look(watched)


async def test_the_way_back_never_waits_for_people_to_be_told(make_world: Any) -> None:
    """A page route that hangs: exposure 0 is seen everywhere before it is even asked."""
    world = make_world({"watch": {"for": "1h", "every": "5m", "then": "rollback"}})
    await live(world)
    world.metrics.bad = 0.05
    await world.clock.sleep(300)
    shown: list[list[float]] = []
    page = world.oncall.page

    class Slow(type(world.oncall)):  # type: ignore[misc]
        async def page(self, incident: str, summary: str) -> Any:
            shown.append(world.shares())
            return await page(incident, summary)

    world.oncall = Slow()
    await look(world)
    assert shown
    assert all(shares == [0.0, 0.0] for shares in shown)


async def test_a_failing_look_lowers_without_a_journal(make_world: Any) -> None:
    """The journal went away while it looked: users are taken off the candidate all the same."""
    world = make_world({"watch": {"for": "1h", "every": "5m", "then": "rollback"}})
    await live(world)
    world.metrics.bad = 0.05
    await world.clock.sleep(300)
    read = world.metrics.read

    async def and_gone(*asked: Any) -> Any:
        world.journal.away = True
        return await read(*asked)

    world.metrics.read = and_gone
    with pytest.raises(JournalUnavailable):
        await look(world)
    assert world.shares() == [0.0, 0.0]


async def test_two_runs_of_the_same_look_journal_one(watched: Any) -> None:
    """A late repetition overlaps with the first: its block is not counted again, and nobody is paged twice."""
    await live(watched)
    watched.metrics.bad = 0.05
    await watched.clock.sleep(300)
    await asyncio.gather(look(watched), look(watched))
    assert (await watched.types()).count("watched") == 1
    assert len(watched.oncall.pages) == 1


async def test_what_a_later_rollout_built_upon_is_not_watched(watched: Any) -> None:
    """Its candidate is the other's way back: neither looked at nor lowered."""
    await live(watched)
    begun = e.RolloutStarted(
        plan="spring", plan_hash="a" * 64, service="shop", version="3.0.0", requested_by="Ann", how="a test"
    )
    passed = e.PreflightPassed(
        release={"api": e.Identities(candidate="3.0.0", stable="2.0.0")}, stable_version="2.0.0", sealed=()
    )
    now = watched.clock.now()
    await watched.journal.append("r2", 0, [begun.entry(now), passed.entry(now)])
    lines = len(await watched.lines())
    await look(watched)
    assert len(await watched.lines()) == lines


async def test_looks_follow_each_other_without_a_gap(watched: Any) -> None:
    """The next one begins where the last one's metrics ended, not where its line was written."""
    await live(watched)
    first = await look(watched)
    block = next(line.data["block"] for line in await watched.lines() if line.type == "watched")
    assert first.watched_at == block["at"]
