"""After full exposure: what is bad is seen, paged, and undone when the plan says so."""

from __future__ import annotations

from typing import Any

import pytest

from canary.errors import BadUsage
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
