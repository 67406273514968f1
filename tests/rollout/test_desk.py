"""Who is told, by which routes, and what happens when a route does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from canary.ports import NOTHING, Receipt
from canary.rollout.desk import Desk
from canary.rollout.events import Event, Paged, ThreadStarted
from canary.testing.fakes import FakeClock, FakeNotifier


class Hanging(FakeNotifier):
    """A route that answers never."""

    clock: FakeClock

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        await self.clock.sleep(1e6)
        raise AssertionError

    async def page(self, incident: str, summary: str) -> Receipt:
        return await self.post(incident, summary)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hanging(clock: FakeClock) -> Hanging:
    route = Hanging("hanging/route")
    route.clock = clock
    return route


@contextlib.asynccontextmanager
async def serving(
    clock: FakeClock, updates: Any, page: Any, threads: Any = NOTHING
) -> AsyncIterator[tuple[Desk, list[Event]]]:
    journaled: list[Event] = []

    async def told(event: Event) -> None:
        journaled.append(event)

    desk = Desk(clock, "r1", updates, page, told, threads)
    serving = asyncio.create_task(desk.serve())
    yield desk, journaled
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_message_goes_to_every_route(clock: FakeClock) -> None:
    """All routes for updates hear it, in the rollout's thread, though one of them fails; what failed has no thread."""
    good, down = FakeNotifier("a/good"), FakeNotifier("b/down", down=True)
    async with serving(clock, {"b/down": down, "a/good": good}, {}) as (desk, journaled):
        desk.post("hello")
        await desk.drain(5)
    assert good.posts == [("r1", "hello")]
    assert journaled == [ThreadStarted(route="a/good", ref="thread-1")]


async def test_whom_a_message_asks_is_told_apart_from_its_words(clock: FakeClock) -> None:
    """Each route gets the ids beside the text; the next message mentions nobody."""
    routes = {"a/one": FakeNotifier("a/one"), "b/other": FakeNotifier("b/other")}
    async with serving(clock, routes, {}) as (desk, _):
        desk.post("who approves?", ["U0OLGA"])
        desk.post("approved")
        await desk.drain(5)
    assert [route.mentions for route in routes.values()] == [{"who approves?": ("U0OLGA",)}] * 2


async def test_every_message_goes_into_the_thread_of_the_first(clock: FakeClock) -> None:
    """Each route has a thread of its own, journaled once, whatever the number of messages."""
    one, other = FakeNotifier("a/one"), FakeNotifier("b/other")
    other.refs.append("thread-of-another-rollout")
    async with serving(clock, {"a/one": one, "b/other": other}, {}) as (desk, journaled):
        for number in range(3):
            desk.post(f"message {number}")
        await desk.drain(5)
    assert one.refs == ["thread-1"] * 3
    assert other.refs[1:] == ["thread-2"] * 3
    assert journaled == [
        ThreadStarted(route="a/one", ref="thread-1"),
        ThreadStarted(route="b/other", ref="thread-2"),
    ]


async def test_a_thread_that_the_journal_knows_goes_on(clock: FakeClock) -> None:
    """Whoever conducts next posts into it, and journals nothing anew; a route that is new gets a thread."""
    known, new = FakeNotifier("a/known"), FakeNotifier("b/new")
    async with serving(clock, {"a/known": known, "b/new": new}, {}, {"a/known": "C1:7.7"}) as (desk, journaled):
        desk.post("hello")
        desk.post("again")
        await desk.drain(5)
    assert known.refs == ["C1:7.7"] * 2
    assert journaled == [ThreadStarted(route="b/new", ref="thread-1")]


async def test_a_thread_outlives_a_message_that_was_not_delivered(clock: FakeClock) -> None:
    """The route is down for one message: the next one goes into the same thread."""
    route = FakeNotifier("a/route")
    async with serving(clock, {"a/route": route}, {}) as (desk, _):
        for down in (False, True, False):
            route.down = down
            desk.post(f"down: {down}")
            await desk.drain(5)
    assert route.refs == ["thread-1"] * 2


async def test_a_thread_that_the_journal_did_not_take_is_offered_again(clock: FakeClock) -> None:
    """The journal is away for the first message: the thread goes on all the same, and is journaled later."""
    route, journaled, away = FakeNotifier("a/route"), [], [True]

    async def told(event: Event) -> None:
        if away.pop() if away else False:
            raise RuntimeError("the journal is away")
        journaled.append(event)

    desk = Desk(clock, "r1", {"a/route": route}, {}, told)
    serving = asyncio.create_task(desk.serve())
    desk.post("one")
    desk.post("two")
    await desk.drain(5)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert route.refs == ["thread-1"] * 2
    assert journaled == [ThreadStarted(route="a/route", ref="thread-1")]


async def test_a_page_goes_on_until_a_route_confirms(clock: FakeClock, hanging: Hanging) -> None:
    """Down, hanging, good, and one more that is not woken; each receipt is journaled."""
    good, spare = FakeNotifier("c/good"), FakeNotifier("d/spare")
    routes = {"a/down": FakeNotifier("a/down", down=True), "b/hanging": hanging, "c/good": good, "d/spare": spare}
    async with serving(clock, {}, routes) as (desk, journaled):
        desk.page("r1:hold", "wake up")
        await desk.drain(60)
    assert good.pages == [("r1:hold", "wake up")]
    assert spare.pages == []
    (paged,) = journaled
    assert isinstance(paged, Paged)
    assert [receipt["confirmed"] for receipt in paged.receipts] == [False, False, True]
    assert clock.monotonic() < 7


async def test_no_page_waits_behind_a_message(clock: FakeClock, hanging: Hanging) -> None:
    """A chat that hangs with a pile of messages delays nobody's page."""
    oncall = FakeNotifier("b/oncall")
    async with serving(clock, {"a/hanging": hanging}, {"b/oncall": oncall}) as (desk, _):
        for number in range(20):
            desk.post(f"message {number}")
        desk.page("r1:rollback", "wake up")
        await clock.sleep(0.1)
        assert oncall.pages == [("r1:rollback", "wake up")]


async def test_leaving_waits_for_no_route_that_hangs(clock: FakeClock, hanging: Hanging) -> None:
    """What cannot be delivered in the time given is left."""
    async with serving(clock, {"a/hanging": hanging}, {"a/hanging": hanging}) as (desk, _):
        desk.post("hello")
        desk.page("r1:hold", "wake up")
        await desk.drain(2.0)
    assert clock.monotonic() == 2.0


async def test_a_journal_that_is_away_stops_no_page(clock: FakeClock) -> None:
    """Receipts that cannot be journaled are lost; the next page is delivered all the same."""
    oncall = FakeNotifier("a/oncall")

    async def away(event: Event) -> None:
        raise RuntimeError("the journal is away")

    desk = Desk(clock, "r1", {}, {"a/oncall": oncall}, away)
    serving = asyncio.create_task(desk.serve())
    desk.page("r1:journal", "one")
    desk.page("r1:journal", "two")
    await desk.drain(5)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert [summary for _, summary in oncall.pages] == ["one", "two"]
