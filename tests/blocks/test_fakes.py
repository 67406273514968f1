"""The fakes' own promises: virtual time that is always the same, and a platform that fails as it is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.blocks.clock import SystemClock
from canary.errors import CandidateUnhealthy, ProviderError, ProviderUnavailable
from canary.ports import Clock, Release
from canary.testing.fakes import FakeClock, FakePlatform, FakeTarget

RELEASE = Release("1.1", "1.0")


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=lambda clock: type(clock).__name__)
async def test_sleeping_takes_time(clock: Clock) -> None:
    """After a sleep both readings are later by at least as long; a negative sleep is none."""
    now, monotonic = clock.now(), clock.monotonic()
    await clock.sleep(0.01)
    await clock.sleep(-1)
    assert clock.now() >= now + 0.009
    assert clock.monotonic() >= monotonic + 0.009


async def test_a_day_costs_nothing() -> None:
    """A day of ticks passes in well under a second's share of real time for each thousand of them."""
    clock, begun = FakeClock(), time.monotonic()
    for _ in range(1440):
        await clock.sleep(60)
    assert clock.monotonic() == 86_400
    assert time.monotonic() - begun < 5


async def test_time_stands_while_somebody_works() -> None:
    """A long chain of steps between tasks happens at one instant, although another task sleeps."""
    clock, queue = FakeClock(), asyncio.Queue[int]()
    sleeper = asyncio.create_task(clock.sleep(1))

    async def relay() -> None:
        for n in range(500):
            await queue.put(n)
            await asyncio.sleep(0)

    relaying = asyncio.create_task(relay())
    for _ in range(500):
        await queue.get()
        assert clock.monotonic() == 0
    await asyncio.gather(relaying, sleeper)
    assert clock.monotonic() == 1


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=6))
def test_all_runs_are_the_same(naps: list[list[int]]) -> None:
    """Tasks with any naps wake in order of time, then of falling asleep, in every run."""

    async def run() -> list[tuple[float, int]]:
        clock, woken = FakeClock(), []

        async def one(name: int, seconds: list[int]) -> None:
            for nap in seconds:
                await clock.sleep(nap)
                woken.append((clock.monotonic(), name))

        await asyncio.gather(*(one(name, seconds) for name, seconds in enumerate(naps)))
        return woken

    first, second = asyncio.run(run()), asyncio.run(run())
    assert first == second
    assert [at for at, _ in first] == sorted(at for at, _ in first)
    assert {name: at for at, name in first} == {name: float(sum(nap)) for name, nap in enumerate(naps)}


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """Time does not stop at an instant for which nobody waits any more."""
    clock = FakeClock()
    early = asyncio.create_task(clock.sleep(1))
    late = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    early.cancel()
    await late
    assert clock.monotonic() == 10


@pytest.fixture
async def platform() -> FakePlatform:
    """A platform with the candidate prepared."""
    fake = FakePlatform(FakeClock(), "1.0")
    await FakeTarget(fake).prepare(RELEASE)
    return fake


async def test_a_lost_answer(platform: FakePlatform) -> None:
    """The change happens; its sender learns nothing but the time-out."""
    platform.lose_answers = 1
    with pytest.raises(ProviderUnavailable):
        await FakeTarget(platform).expose(RELEASE, 0.1, 1)
    assert (platform.share(), platform.clock.monotonic()) == (0.1, 6.0)
    await FakeTarget(platform).expose(RELEASE, 0.2, 1)
    assert platform.share() == 0.2


async def test_a_refusal(platform: FakePlatform) -> None:
    """Nothing changes, and the platform's words come back."""
    platform.refuses = "quota"
    with pytest.raises(ProviderError, match="quota"):
        await FakeTarget(platform).expose(RELEASE, 0.1, 1)
    assert platform.share() == 0.0


async def test_a_raise_that_lands_after_the_lowering(platform: FakePlatform) -> None:
    """The effect of a request that was given up comes later, over what was asked since."""
    target, platform.delay = FakeTarget(platform), 8.0
    with pytest.raises(ProviderUnavailable):
        await target.expose(RELEASE, 0.1, 1)
    platform.delay = 0.0
    await target.expose(RELEASE, 0.0, 1)
    assert (await target.verify(RELEASE, 0.0)).answer == "yes"
    await platform.clock.sleep(2)
    assert (await target.verify(RELEASE, 0.0)).answer == "no"
    assert [sent.share for sent in platform.sent] == [0.1, 0.0]


async def test_a_lie(platform: FakePlatform) -> None:
    """Reads are stale for as long as it lasts, and true afterwards."""
    target = FakeTarget(platform)
    platform.lie(5)
    await target.expose(RELEASE, 0.5, 1)
    assert ((await target.verify(RELEASE, 0.5)).observed, platform.share()) == (0.0, 0.5)
    await platform.clock.sleep(5)
    assert (await target.verify(RELEASE, 0.5)).answer == "yes"


async def test_changed_by_hand(platform: FakePlatform) -> None:
    """What somebody does past the target is seen, and was sent by nobody."""
    platform.change_by_hand(0.7)
    assert (await FakeTarget(platform).verify(RELEASE, 0.0)).observed == 0.7
    assert platform.sent == []


async def test_a_dead_candidate_is_not_prepared(platform: FakePlatform) -> None:
    """A candidate that does not answer is unhealthy."""
    platform.candidate_dead = True
    with pytest.raises(CandidateUnhealthy):
        await FakeTarget(platform).prepare(RELEASE)


async def test_requests_are_routed_by_the_share(platform: FakePlatform) -> None:
    """Counters rise as users send requests, split as the exposure is at that time."""
    target: Any = FakeTarget(platform)
    await target.expose(RELEASE, 0.25, 1)
    platform.serve(100)
    assert (await target.verify(RELEASE, 0.25)).routed == {"canary": 25.0, "baseline": 75.0}


async def test_the_next_release(platform: FakePlatform) -> None:
    """After a full rollout the candidate is the stable version of the next one; half way nothing is replaced."""
    target, following = FakeTarget(platform), Release("1.2", "1.1")
    await target.expose(RELEASE, 0.5, 1)
    with pytest.raises(ProviderError, match="half"):
        await target.prepare(following)
    await target.expose(RELEASE, 1.0, 1)
    await target.prepare(following)
    assert (await target.observe()).shares == {"1.1": 1.0, "1.2": 0.0}
    with pytest.raises(ProviderError, match="prepare it first"):
        await target.expose(RELEASE, 0.5, 1)
