"""The guard of several services: each in time, none in the way of another, and nothing written in vain."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from canary.errors import BadUsage, JournalError, Refused
from canary.guard import EXPIRED_FOR, Guard
from canary.ports import Release, StoredPlan
from canary.rollout import events as e
from canary.rollout.by_hand import bring_back
from canary.testing.fakes import FakePlatform, FakeTarget

LEASE = 20.0


@contextlib.asynccontextmanager
async def guarding(world: Any, opener: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Guard(world.stores, opener).watch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    """Each taking of a lock is by another process than the one before: a guard is never the conductor itself."""
    numbers = iter(range(1000))
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: f"process-{next(numbers)}")


class Blog:
    """A second service whose conductor is dead: 10 % of its users are on the candidate."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.platform = FakePlatform(world.clock, "1.0.0")
        self.opener = replace(world.opener, block=self._block)

    def _block(self, ref: str, fields: Mapping[str, Any]) -> object:
        return FakeTarget(self.platform) if ref == "envoy/blog" else self.world.opener.block(ref, fields)

    async def dies(self) -> None:
        """Its last lines, and a lease that runs out 20 s from now."""
        world, now = self.world, self.world.clock.now()
        document = {
            **world.document,
            "name": "blog",
            "service": "blog",
            "targets": {"app": {"use": "envoy/blog"}},
        }
        await world.journal.store_plan(StoredPlan("b" * 64, "blog", "blog", json.dumps(document)))
        await world.vault.seal("r2", {ref: {"token": "s3cret-value"} for ref in world.plan.block_refs()} | SEALED)
        await self.target.prepare(Release("2.0.0", "1.0.0"))
        self.platform.change_by_hand(0.1)
        release = {"app": e.Identities(candidate="2.0.0", stable="1.0.0")}
        seen = {"app": e.Shown(answer="yes", observed=0.1, detail="")}
        lines: list[e.Event] = [
            e.RolloutStarted(
                plan="blog", plan_hash="b" * 64, service="blog", version="2.0.0", requested_by="Ann", how="a test"
            ),
            e.ConductorTook(holder="dead", epoch=1, lease_seconds=LEASE),
            e.PreflightPassed(release=release, stable_version="1.0.0", sealed=()),
            e.PhaseStarted(phase="canary"),
            e.ExposureIntended(share=0.1, targets=("app",), why="phase canary"),
            e.ExposureObserved(share=0.1, targets=seen),
        ]
        await world.journal.append("r2", 0, [line.entry(now) for line in lines])
        await world.journal.take("blog", "r2", "dead", now, LEASE)

    @property
    def target(self) -> FakeTarget:
        return FakeTarget(self.platform)


SEALED = {"envoy/blog": {"token": "s3cret-value"}}


@pytest.mark.parametrize("later", [0.0, 60.0])
async def test_a_recovery_that_lasts_delays_no_other(world: Any, later: float) -> None:
    """One service cannot be brought back, its platform is away: another's dead conductor is replaced all the same,
    5 s after its lease, whether it died with the first or while that was being tried."""
    blog = Blog(world)
    task = world.start()
    await world.in_canary()
    world.platforms["web"].unreachable = True
    await world.die(task)
    async with guarding(world, blog.opener):
        await world.clock.sleep(later)
        await blog.dies()
        await world.clock.sleep(LEASE + EXPIRED_FOR)
        assert blog.platform.share() == 0.1
        await world.clock.sleep(2)
        assert blog.platform.share() == 0.0


async def test_a_lowering_that_lasts_delays_no_other(world: Any, person: Any) -> None:
    """An aborted rollout's dead conductor left a platform that never answers: another service's dead conductor is
    replaced as soon as ever, 5 s after its lease."""
    blog = Blog(world)
    task = world.start()
    await world.in_canary()
    await world.die(task)
    world.platforms["web"].unreachable = True
    await blog.dies()
    async with guarding(world, blog.opener) as guard:
        await world.clock.sleep(LEASE + EXPIRED_FOR - 4)
        await world.says(e.AbortAsked(**person()))
        await world.clock.sleep(6)
        assert blog.platform.share() == 0.0
        assert not guard.done()


async def test_a_damaged_first_line_ends_no_guard(world: Any) -> None:
    """What cannot be read is passed over: the guard goes on, and another rollout is recovered."""
    blog = Blog(world)
    await world.begin()
    world.journal._lines["r1"][0] = replace(world.journal._lines["r1"][0], type="from_the_future")
    lines = world.journal.lines

    def damaged(rollout: str, after: int = 0) -> Any:
        if rollout == "r1":
            raise JournalError("its lines have a hole")
        return lines(rollout, after)

    world.journal.lines = damaged
    await blog.dies()
    async with guarding(world, blog.opener) as guard:
        await world.clock.sleep(LEASE + EXPIRED_FOR + 2)
        assert blog.platform.share() == 0.0
        assert not guard.done()


async def test_who_cannot_open_the_vault_writes_nothing(world: Any) -> None:
    """The key is wrong, or nothing is sealed: the guard tries again, and neither lines nor epochs pile up."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    sealed = await world.vault.open("r1")
    await world.vault.drop("r1")
    async with guarding(world, world.opener):
        lines = len(await world.lines())
        await world.clock.sleep(120)
        assert len(await world.lines()) == lines
        assert (await world.journal.locks())[0].epoch == 1
        await world.vault.seal("r1", sealed)
        assert (await world.until(lambda s: s.ended is not None, 120)).ended.outcome == "rolled_back"


async def test_a_broken_journal_of_one_rollout_ends_no_guard(world: Any) -> None:
    """A line that nobody understands stops the recovery of its rollout, and of no other."""
    blog = Blog(world)
    task = world.start()
    await world.in_canary()
    await world.die(task)
    world.journal._lines["r1"][-1] = replace(world.journal._lines["r1"][-1], type="from_the_future")
    await blog.dies()
    async with guarding(world, blog.opener) as guard:
        await world.clock.sleep(LEASE + EXPIRED_FOR + 2)
        assert blog.platform.share() == 0.0
        assert not guard.done()


async def test_an_ended_rollout_that_kept_its_lock_is_only_freed(world: Any, ended: Any, person: Any) -> None:
    """Its conductor died between the last line and the lock: credentials go, the service is free, nothing is sent."""
    task = world.start()
    await world.in_canary()
    rows, sealed = dict(world.journal._locks), await world.vault.open("r1")
    await world.says(e.AbortAsked(**person()))
    await ended(task)
    world.journal._locks.update(rows)
    await world.vault.seal("r1", sealed)
    sent = len(world.sent())
    await world.clock.sleep(LEASE + EXPIRED_FOR)
    assert await Guard(world.stores, world.opener).look() == ["r1"]
    assert await world.journal.locks() == ()
    assert len(world.sent()) == sent
    assert (await world.types()).count("rollback_verified") == 1
    with pytest.raises(Exception, match="no credentials are sealed"):
        await world.vault.open("r1")


@pytest.mark.parametrize("undone", [False, True])
async def test_what_a_later_rollout_built_upon_is_not_brought_back(
    world: Any, ended: Any, person: Any, undone: bool
) -> None:
    """A later rollout of the service stands on the promoted one: by hand only that one can be brought back, unless
    it has been rolled back itself."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    release = {"api": e.Identities(candidate="3.0.0", stable="2.0.0")}
    lines: list[e.Event] = [
        e.RolloutStarted(
            plan="spring", plan_hash="a" * 64, service="shop", version="3.0.0", requested_by="Ann", how="a test"
        ),
        e.PreflightPassed(release=release, stable_version="2.0.0", sealed=()),
    ]
    if undone:
        lines.append(e.RolloutEnded(outcome="rolled_back", phase="canary", reason="bad", verified=True))
    await world.journal.append("r2", 0, [line.entry(world.clock.now()) for line in lines])
    back = bring_back(world.stores, "r1", e.RollbackAsked(**person()), world.opener)
    if undone:
        assert (await back).ended.outcome == "rolled_back"
        return
    with pytest.raises(BadUsage, match="canary rollback r2"):
        await back
    assert world.shares() == [1.0, 1.0]
    assert (await world.state()).ended.outcome == "promoted"


@pytest.mark.parametrize("aborted", [False, True])
async def test_what_was_never_begun_is_not_under_way_for_ever(world: Any, person: Any, aborted: bool) -> None:
    """Its process died behind the first line, without a lock: a minute later it has ended, with nothing touched,
    whatever people have said to it meanwhile."""
    await world.begin()
    if aborted:
        await world.says(e.AbortAsked(**person()))
    async with guarding(world, world.opener):
        await world.clock.sleep(50)
        assert (await world.state()).ended is None
        await world.clock.sleep(45)
        assert (await world.state()).ended.outcome == "refused"
        lines = len(await world.lines())
        await world.clock.sleep(300)
    assert len(await world.lines()) == lines
    assert world.sent() == []


async def test_who_comes_after_that_touches_nothing(world: Any) -> None:
    """The process was only slow: it finds the end, frees the service and says so once."""
    await world.begin()
    async with guarding(world, world.opener):
        await world.clock.sleep(100)
    with pytest.raises(Refused, match="ended meanwhile: its conductor died"):
        await world.conduct()
    assert (await world.types()).count("rollout_ended") == 1
    assert world.sent() == []


async def test_what_is_about_to_begin_is_left_alone(world: Any, ended: Any) -> None:
    """It takes its lock after 50 s, and goes its way."""
    await world.begin()
    async with guarding(world, world.opener):
        await world.clock.sleep(50)
        task = world.start()
        await world.approve("owner", "lead")
        assert (await ended(task)).ended.outcome == "promoted"


@pytest.mark.parametrize("kind", ["rollback_started", "abort_asked"])
async def test_a_way_back_that_nobody_carries_out(world: Any, person: Any, kind: str) -> None:
    """The conductor dies right behind the line that begins the way back, or before it heard of the abort: the guard
    lowers without its lease, 20 s before that runs out, and leaves everything else as it is."""
    task = world.start()
    await world.in_canary()
    async with guarding(world, world.opener):
        if kind == "rollback_started":
            append = world.journal.append

            async def last(rollout: str, after: int, entries: Any, fence: Any = None) -> Any:
                done = await append(rollout, after, entries, fence)
                if any(entry.type == kind for entry in entries):
                    world.journal.append = append
                    rows = dict(world.journal._locks)
                    task.cancel()
                    world.clock_rows = rows
                return done

            world.journal.append = last
            world.metrics.bad = 0.5
            await world.until(lambda s: s.rollback is not None)
            world.journal._locks.update(world.clock_rows)
        else:
            await world.die(task)
            await world.says(e.AbortAsked(**person()))
        lines = len(await world.lines())
        assert world.shares() == [0.1, 0.1]
        await world.clock.sleep(7)
        assert world.shares() == [0.0, 0.0]
        assert len(await world.lines()) == lines
        assert (await world.journal.locks())[0].epoch == 1
        assert (await world.until(lambda s: s.ended is not None, 90)).ended.outcome == "rolled_back"


async def test_a_living_conductor_needs_no_help(world: Any, ended: Any, person: Any) -> None:
    """Exposure 0 is sent by it alone: once to each target."""
    task = world.start()
    await world.in_canary()
    async with guarding(world, world.opener):
        await world.says(e.AbortAsked(**person()))
        await ended(task)
    assert [sent.share for sent in world.platforms["web"].sent].count(0.0) == 1
