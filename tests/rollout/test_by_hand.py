"""A rollback by hand: sent at once, finished by whoever conducts, and found by the guard when its process dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from canary.errors import BadUsage, UnknownRollout
from canary.guard import Guard
from canary.rollout import events as e
from canary.rollout.by_hand import bring_back


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From here on, whoever takes a lock is another process."""
    return lambda name: monkeypatch.setattr("canary.rollout.conducting.holder", lambda: name)


async def test_rollback_by_hand_with_a_dead_conductor(world: Any, another_process: Any, person: Any) -> None:
    """Exposure 0 is sent at once; when the lease has run out this process finishes it."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    another_process("person")
    before, asked = len(world.platforms["api"].sent), world.clock.now()
    state = await bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener)
    assert (state.ended.outcome, state.ended.verified) == ("rolled_back", True)
    assert world.platforms["api"].sent[before].at - asked < 0.5


async def test_rollback_by_hand_with_a_living_conductor(
    world: Any, ended: Any, another_process: Any, person: Any
) -> None:
    """The conductor finds the request, and finishes: nobody takes its place."""
    task = world.start()
    await world.in_canary()
    another_process("person")
    state = await bring_back(world.stores, "r1", e.RollbackAsked(**person("Ann")), world.opener)
    assert (state.ended.outcome, state.takeovers) == ("rolled_back", 0)
    assert "rollback by Ann" in state.ended.reason
    await ended(task)


async def test_a_conductor_that_is_faster_is_no_failure(
    world: Any, ended: Any, another_process: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the rollout, and drops the credentials, while this process goes to fetch them: the end is told."""
    task = world.start()
    await world.in_canary()
    another_process("person")
    fetch = world.vault.open

    async def late(rollout: str) -> Any:
        await world.until(lambda s: s.ended is not None)
        return await fetch(rollout)

    monkeypatch.setattr(world.vault, "open", late)
    state = await bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener)
    assert (state.ended.outcome, state.takeovers) == ("rolled_back", 0)
    await ended(task)


async def test_rollback_by_hand_after_promotion(world: Any, ended: Any, person: Any) -> None:
    """While the credentials are sealed, a promoted rollout can be brought back."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    state = await bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener)
    assert state.ended.outcome == "rolled_back"
    assert world.shares() == [0.0, 0.0]


async def test_a_rollback_after_promotion_outlives_its_process(
    world: Any, ended: Any, another_process: Any, person: Any
) -> None:
    """It dies right behind the request: the guard finds the lock that was taken before, and carries it out."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    another_process("person")
    append, rows = world.journal.append, dict[str, Any]()

    async def last(rollout: str, after: int, entries: Any, fence: Any = None) -> Any:
        done = await append(rollout, after, entries, fence)
        if any(entry.type == "rollback_asked" for entry in entries):
            rows.update(world.journal._locks)
            back.cancel()
        return done

    world.journal.append = last
    back = asyncio.create_task(bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener))
    await asyncio.gather(back, return_exceptions=True)
    world.journal._locks.update(rows)
    assert world.shares() == [1.0, 1.0]
    another_process("guard")
    await world.clock.sleep(30)
    assert await Guard(world.stores, world.opener).look() == ["r1"]
    state = await world.state()
    assert state.ended.verified
    assert world.shares() == [0.0, 0.0]


async def test_a_rollback_after_promotion_waits_for_nobody(
    world: Any, ended: Any, another_process: Any, person: Any
) -> None:
    """The next rollout of the service has its lock, and nothing on the platform yet: users are brought back at once,
    and the end is written when it is free."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    another_process("next")
    lock = await world.journal.take("shop", "r2", "next", world.clock.now(), 20)
    another_process("person")
    back = asyncio.create_task(bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener))
    await world.clock.sleep(2)
    assert world.shares() == [0.0, 0.0]
    assert not back.done()
    await world.journal.release(lock)
    assert (await back).ended.outcome == "rolled_back"


async def test_rollback_by_hand_after_the_window(world: Any, ended: Any, person: Any) -> None:
    """Once the credentials are dropped it says so, says what to do, and leaves the promoted rollout as it was."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    await world.vault.drop("r1")
    with pytest.raises(BadUsage, match="window of r1 is closed"):
        await bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener)
    assert (await world.state()).ended.outcome == "promoted"


async def test_rollback_by_hand_of_nothing(world: Any, person: Any) -> None:
    """An unknown rollout is named, and nothing is sent."""
    with pytest.raises(UnknownRollout, match="never"):
        await bring_back(world.stores, "never", e.RollbackAsked(**person()), world.opener)
