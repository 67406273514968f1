"""One look of the guard: whose conductor is dead, and what each of the dead has left to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from canary.guard import EXPIRED_FOR, LOOK_EVERY, Guard
from canary.ports import Lock, Release
from canary.rollout import events as e
from canary.rollout.state import State
from canary.testing.fakes import FakeTarget

HASH = "a" * 64
LEASE = 20.0
OLGA = {"by": "Olga", "how": "a test", "reason": "because"}
RELEASE = {name: e.Identities(candidate="2.0.0", stable="1.0.0") for name in ("api", "web")}
SEEN = {name: e.Shown(answer="yes", observed=0.1, detail="") for name in RELEASE}
EVERYBODY = {name: e.Shown(answer="yes", observed=1.0, detail="") for name in RELEASE}
PREFLIGHT = e.PreflightPassed(release=RELEASE, stable_version="1.0.0", sealed=())
IN_CANARY = (
    PREFLIGHT,
    e.PhaseStarted(phase="canary"),
    e.ExposureIntended(share=0.1, targets=("api", "web"), why=""),
    e.ExposureObserved(share=0.1, targets=SEEN),
)
AT_FULL = (
    PREFLIGHT,
    e.PhasePassed(phase="staging", reason=""),
    e.PhasePassed(phase="canary", reason=""),
    e.PhaseStarted(phase="full"),
    e.ExposureIntended(share=1.0, targets=("api", "web"), why=""),
    e.ExposureObserved(share=1.0, targets=EVERYBODY),
    e.PhasePassed(phase="full", reason=""),
)
BACK = (
    e.RollbackStarted(cause="fail", reason="bad"),
    e.RollbackVerified(targets={}),
    e.RolloutEnded(outcome="rolled_back", phase="canary", reason="bad", verified=True),
)
PROMOTED = e.RolloutEnded(outcome="promoted", phase="full", reason="passed", verified=True)


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is not the dead conductor."""
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "guard")


async def left(world: Any, *events: e.Event, share: float = 0.0) -> None:
    """What a conductor left behind that died just now: its lines, its credentials, its lease, and users."""
    await world.begin()
    now = world.clock.now()
    for platform in world.platforms.values():
        await FakeTarget(platform).prepare(Release("2.0.0", "1.0.0"))
        platform.change_by_hand(share)
    await world.vault.seal("r1", {ref: {"token": "s3cret-value"} for ref in world.plan.block_refs()})
    lock = await world.journal.take("shop", "r1", "dead", now, LEASE)
    took = e.ConductorTook(holder="dead", epoch=lock.epoch, lease_seconds=LEASE)
    await world.journal.append("r1", 1, [event.entry(now) for event in (took, *events)], lock)


async def dead(world: Any, *events: e.Event, share: float = 0.0) -> None:
    """The same, long enough ago for the guard."""
    await left(world, *events, share=share)
    await world.clock.sleep(LEASE + EXPIRED_FOR + 0.1)


class Runs:
    """Prefect: a run that is asked for comes never."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def cancelled(self, state: State) -> bool:
        return False

    async def start(self, state: State, attempt: int) -> None:
        self.asked.append(attempt)


async def test_a_conductor_is_dead_five_seconds_after_its_lease(world: Any) -> None:
    """Not one look earlier: until then it may only be slow."""
    await left(world, *IN_CANARY, share=0.1)
    guard = Guard(world.stores, world.opener)
    await world.clock.sleep(LEASE + 5.0)
    assert await guard.look() == []
    assert world.shares() == [0.1, 0.1]
    await world.clock.sleep(0.1)
    assert await guard.look() == ["r1"]
    assert world.shares() == [0.0, 0.0]
    assert (EXPIRED_FOR, LOOK_EVERY) == (5.0, 1.0)


async def test_the_guard_tells_when_it_last_saw_the_journal(world: Any) -> None:
    """None before the first look; a look that the journal does not answer is none."""
    await left(world)
    guard = Guard(world.stores, world.opener)
    assert guard.looked_at is None
    await guard.look()
    seen = world.clock.now()
    assert guard.looked_at == seen
    world.journal.away = True
    await world.clock.sleep(3)
    assert await guard.look() == []
    assert guard.looked_at == seen


async def test_what_waits_in_the_spool_is_journaled_first(world: Any) -> None:
    """A dead conductor's last lines are seen before it is judged by what it left."""
    await left(world)
    world.spool.add("r1", [e.Paged(incident="i", summary="s", receipts=()).entry(world.clock.now())])
    await Guard(world.stores, world.opener).look()
    assert world.spool.added == []
    assert (await world.types())[-1] == "paged"


async def test_users_go_back_with_the_reason_that_nobody_conducts(world: Any) -> None:
    """Journaled as the guard's rollback, told to whoever listens, and somebody else's lease is named."""
    heard: list[str] = []
    await dead(world, *IN_CANARY, share=0.1)
    await Guard(world.stores, world.opener, (lambda state, event: heard.append(event.type),)).look()
    state = await world.state()
    assert (state.rollback.cause, state.rollback.reason) == ("guard", "conductor dead is gone: its lease expired")
    assert (state.ended.outcome, state.epoch) == ("rolled_back", 2)
    assert {"rollback_started", "rollout_ended"} <= set(heard)
    assert await world.journal.locks() == ()


async def test_a_persons_stop_is_the_reason_where_there_is_one(world: Any) -> None:
    """Not the death of the conductor that should have heard it."""
    await dead(world, *IN_CANARY, e.RollbackAsked(**OLGA), share=0.1)
    assert await Guard(world.stores, world.opener).look() == ["r1"]
    rollback = (await world.state()).rollback
    assert (rollback.cause, rollback.reason) == ("abort", "rollback by Olga: because")


async def test_a_death_in_preflight_is_refused_without_a_question(world: Any) -> None:
    """Nobody else is asked for, nothing is sent, credentials are dropped, and the reason names the dead one."""
    runs, heard = Runs(), list[str]()
    await dead(world)
    guard = Guard(world.stores, world.opener, (lambda state, event: heard.append(event.type),), runs)
    assert await guard.look() == ["r1"]
    ended = (await world.state()).ended
    assert (ended.outcome, ended.reason) == ("refused", "conductor dead died in preflight: nothing was touched")
    assert (runs.asked, world.sent()) == ([], [])
    assert heard[-1] == "rollout_ended"
    assert await world.journal.locks() == ()


async def test_full_exposure_is_brought_to_its_end_and_paged(world: Any) -> None:
    """Promoted, nobody taken off, and whoever is on call looks after it."""
    heard: list[str] = []
    await dead(world, *AT_FULL, share=1.0)
    await Guard(world.stores, world.opener, (lambda state, event: heard.append(event.type),)).look()
    assert (await world.state()).ended.outcome == "promoted"
    assert world.shares() == [1.0, 1.0]
    assert world.oncall.pages == [("r1:guard", "conductor dead died at full exposure")]
    assert "rollout_ended" in heard


@pytest.mark.parametrize(("lines", "sealed"), [((*IN_CANARY, *BACK), False), ((*AT_FULL, PROMOTED), True)])
async def test_an_ended_rollout_is_only_freed(world: Any, lines: Sequence[e.Event], sealed: bool) -> None:
    """Nobody else is asked for. After a rollback the credentials go; after a promotion they are needed still."""
    runs = Runs()
    await dead(world, *lines)
    before = world.sent()
    assert await Guard(world.stores, world.opener, (), runs).look() == ["r1"]
    assert await world.journal.locks() == ()
    assert (runs.asked, world.sent()) == ([], before)
    if sealed:
        assert await world.vault.open("r1")
    else:
        with pytest.raises(Exception, match="no credentials are sealed"):
            await world.vault.open("r1")


async def test_while_another_conductor_may_come_nothing_is_taken(world: Any) -> None:
    """Asked for at the first look, waited for during 25 s; then the users go back."""
    runs = Runs()
    await dead(world, *IN_CANARY, share=0.1)
    guard = Guard(world.stores, world.opener, (), runs)
    assert await guard.look() == []
    await world.clock.sleep(24)
    assert await guard.look() == []
    assert (world.shares(), runs.asked) == ([0.1, 0.1], [1])
    assert (await world.state()).epoch == 1
    await world.clock.sleep(1)
    assert await guard.look() == ["r1"]
    assert world.shares() == [0.0, 0.0]


async def test_what_was_said_while_prefect_was_asked_counts(world: Any) -> None:
    """An abort that stands in the journal when nobody comes any more is the reason, though this look began before."""

    class Cancelled(Runs):
        async def cancelled(self, state: State) -> bool:
            return True

    await dead(world, *IN_CANARY, share=0.1)
    assert await Guard(world.stores, world.opener, (), Cancelled()).look() == ["r1"]
    state = await world.state()
    assert (state.rollback.cause, state.stop.kind) == ("abort", "abort")
    assert "cancelled in the Prefect UI" in state.rollback.reason


async def test_what_cannot_be_brought_back_now_is_tried_at_the_next_look(world: Any) -> None:
    """A look that fails raises nothing and claims nothing; the next one, with what was missing, ends it."""
    await dead(world, *IN_CANARY, share=0.1)
    sealed = await world.vault.open("r1")
    await world.vault.drop("r1")
    guard = Guard(world.stores, world.opener)
    assert await guard.look() == []
    assert (await world.state()).ended is None
    await world.vault.seal("r1", sealed)
    assert await guard.look() == ["r1"]


async def test_of_two_dead_the_one_that_was_ended_is_named(world: Any) -> None:
    """Each look tells what it brought to an end, not what it tried."""
    await dead(world, *IN_CANARY, share=0.1)
    await world.journal.take("blog", "unknown", "dead", world.clock.now() - 60, LEASE)
    assert await Guard(world.stores, world.opener).look() == ["r1"]
    assert [lock.rollout for lock in await world.journal.locks()] == ["unknown"]


async def test_the_watch_tries_again_and_ends_each_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One recovery at a time for each rollout, a new one after it has failed, and a look every second."""
    await dead(world, *IN_CANARY, share=0.1)
    guard, begun = Guard(world.stores, world.opener), list[float]()

    async def slowly_fails(self: Guard, lock: Lock) -> None:
        begun.append(world.clock.now())
        await world.clock.sleep(2.5)
        raise RuntimeError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(Guard, "_finish", slowly_fails)
        start = world.clock.now()
        watching = asyncio.create_task(guard.watch())
        await world.clock.sleep(6.9)
    assert begun == pytest.approx([start, start + 3, start + 6])
    state = await world.until(lambda s: s.ended is not None, 60)
    assert state.ended.outcome == "rolled_back"
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_lease_that_runs_is_nobodys_business(world: Any) -> None:
    """However often it is looked at: the lines and the lock stay as they are."""
    await left(world, *IN_CANARY, share=0.1)
    (lock,) = await world.journal.locks()
    renewed = await world.journal.renew(lock, world.clock.now() + 1000, LEASE)
    await world.clock.sleep(500)
    lines = await world.types()
    assert await Guard(world.stores, world.opener, (), Runs()).look() == []
    assert (await world.types(), list(await world.journal.locks())) == (lines, [replace(renewed)])


async def test_a_single_look_lowers_what_nobody_carries_out(world: Any) -> None:
    """Two looks, further apart than a living conductor needs: the users are off while the lease still runs."""
    await left(world, *IN_CANARY, e.AbortAsked(**OLGA), share=0.1)
    guard = Guard(world.stores, world.opener)
    assert await guard.look() == []
    await world.clock.sleep(3.5)
    assert await guard.look() == []
    assert world.shares() == [0.0, 0.0]
