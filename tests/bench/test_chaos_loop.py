"""The storm's own event loop does everything in the order in which asyncio's does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.chaos.loop import VirtualLoop
from bench.providers.virtual import run as run_by_asyncio

Step = tuple[float, int]
Seen = list[tuple[float, int, int]]
steps = st.tuples(st.sampled_from((0.0, 0.1, 0.2, 0.3, 1.0)), st.integers(0, 5))
"""Few different times, so that many are due together."""


async def work(tasks: Sequence[Sequence[Step]], timers: int) -> Seen:
    """What happened, and when: tasks that sleep, and cancel or set off timers of each other."""
    loop, seen = asyncio.get_running_loop(), Seen()
    calls = [loop.call_later(0.1 + n % 7 / 10, lambda n=n: seen.append((loop.time(), -1, n))) for n in range(timers)]

    async def one(number: int, todo: Sequence[Step]) -> None:
        for delay, what in todo:
            await asyncio.sleep(delay)
            seen.append((loop.time(), number, what))
            for call in calls[what :: max(2, 2 * number)]:
                call.cancel()
            loop.call_soon(lambda n=number, what=what: seen.append((loop.time(), n, -what)))
            with_end = asyncio.ensure_future(asyncio.sleep(what / 10))
            await asyncio.wait({with_end}, timeout=0.2)
            with_end.cancel()

    await asyncio.gather(*(one(number, todo) for number, todo in enumerate(tasks)))
    return seen


def by_ours(tasks: Sequence[Sequence[Step]], timers: int) -> Seen:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work(tasks, timers))
    finally:
        loop.close()


@given(st.lists(st.lists(steps, max_size=6), max_size=6), st.sampled_from((0, 10, 300)))
def test_the_order_is_that_of_asyncio(tasks: list[list[Step]], timers: int) -> None:
    """At the same time too, and where so many timers are cancelled that they are gone through."""
    assert by_ours(tasks, timers) == run_by_asyncio(work(tasks, timers))


def test_time_costs_nothing_and_what_threads_do_is_done_on_the_spot() -> None:
    """A day passes at once."""

    async def day() -> tuple[float, str]:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time(), await asyncio.to_thread(lambda: "done")

    loop = VirtualLoop()
    assert loop.run_until_complete(day()) == (86_400.0, "done")
    loop.close()


def test_who_waits_for_nothing_is_told_so() -> None:
    """It would wait for ever."""

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    work = never()
    with pytest.raises(RuntimeError, match="never happen"):
        loop.run_until_complete(work)
    loop.close()
    work.close()
