"""What simulated storms have found, each as the shortest story that showed it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from canary.errors import LeaseLost
from canary.guard import Guard
from canary.ports import Release
from canary.rollout import events as e
from canary.rollout.effects import lower_all
from canary.rollout.lease import NEW_HOLDER_WAITS
from canary.testing.fakes import FakeClock, FakePlatform, FakeTarget


async def test_a_silent_target_delays_the_lowering_of_no_other() -> None:
    """One answers never, the other refuses and still shows users: that one is asked again within 2 s."""
    clock = FakeClock()
    silent, refusing = FakePlatform(clock, "1.0.0"), FakePlatform(clock, "1.0.0")
    for platform in (silent, refusing):
        await FakeTarget(platform).prepare(Release("2.0.0", "1.0.0"))
        platform.change_by_hand(0.1)
    silent.unreachable, refusing.refuses = True, "busy"
    begun = clock.now()
    targets = {"api": FakeTarget(silent), "web": FakeTarget(refusing)}
    releases = {name: e.Identities(candidate="2.0.0", stable="1.0.0") for name in targets}
    await lower_all(clock, targets, releases, 1)
    assert len([sent for sent in refusing.sent if sent.share == 0 and sent.at - begun < 2.0]) == 2


async def test_a_raise_that_the_journal_interrupts_is_looked_at(world: Any, ended: Any) -> None:
    """It goes away while the first target takes its time: what that one shows is told before both are raised again."""
    world.platforms["api"].delay = 1.0
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    world.journal.away = True
    await world.clock.sleep(2.0)
    world.journal.away = False
    assert (await ended(task)).ended.outcome == "promoted"
    raised = [line.type for line in await world.lines() if line.data.get("share") == 0.1]
    assert raised == ["exposure_intended", "exposure_observed"] * 2


async def test_what_a_raise_did_is_told_before_the_next_one(make_world: Any, ended: Any) -> None:
    """At full exposure a target is changed by hand and asked again, and the journal takes no line for 12 s: what the
    targets show is told then, and neither is asked once more."""
    world = make_world()
    world.document["phases"].append({"name": "kept", "for": "1m", "exposure": "100%", "criteria": [{"errors": "< 1%"}]})
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.soaking == "kept" and s.verdict is not None)
    world.journal.last = ("full", "exposure_intended", {})
    world.platforms["web"].change_by_hand(0.5)
    await world.until(lambda s: not s.shown and s.asked_since > s.soak_since)
    world.journal.last = None
    await world.clock.sleep(12)
    world.journal.full = False
    assert (await ended(task)).ended.outcome == "promoted"
    told = [line.type for line in await world.lines() if line.data.get("share") == 1.0]
    assert told == ["exposure_intended", "exposure_observed"] * 2
    assert [sent.share for sent in world.platforms["web"].sent] == [0.1, 1.0, 1.0]


async def test_an_abort_that_another_line_folds_is_not_put_off(world: Any, ended: Any, person: Any) -> None:
    """It stands right before a sample of the soak: users are off within 2 s, not at the end of the block."""
    world.overtaken("sampled", e.AbortAsked(**person()))
    task = world.start()
    await world.approve("owner", "lead")
    assert (await ended(task)).rollback.cause == "abort"
    asked = next(line.at for line in await world.lines() if line.type == "abort_asked")
    lowered = [sent.at for sent in world.platforms["web"].sent if sent.share == 0]
    assert lowered[0] - asked < 2.0


async def test_who_sees_a_successor_raises_no_further_target(world: Any, ended: Any) -> None:
    """While the first target takes its time somebody else takes the service over: the second target is not raised."""
    world.platforms["api"].delay = 1.0
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    lock = await world.journal.take("shop", "r1", "another", world.clock.now() + 60, 20.0)
    took = e.ConductorTook(holder="another", epoch=lock.epoch, lease_seconds=20.0)
    await world.journal.append("r1", (await world.state()).seq, [took.entry(world.clock.now())], lock)
    with pytest.raises(LeaseLost):
        await ended(task)
    assert [sent.share for sent in world.platforms["api"].sent] == [0.1]
    assert world.platforms["web"].sent == []


async def test_a_rejection_during_the_raise_counts(world: Any, ended: Any) -> None:
    """Somebody takes the approval back while the first target takes its time: the second one is not raised."""
    world.platforms["api"].delay = 1.0
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    await world.says(e.ApprovalRejected(role="owner", by="Olga", how="a test", reason="not yet"))
    assert (await ended(task)).ended.outcome == "rolled_back"
    assert [sent.share for sent in world.platforms["web"].sent if sent.share > 0] == []


async def test_a_new_holder_waits_whatever_the_wall_clock_does(
    world: Any, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock jumps a minute right after the takeover: the raise still comes after the lease and a time-out."""
    task = world.start()
    await world.until(lambda s: s.approval is not None)
    await world.die(task)
    await world.clock.sleep(21)
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "another")
    task = world.start()
    await world.until(lambda s: s.takeovers == 1)
    took = world.clock.monotonic()
    world.clock.start += 60.0
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    assert world.clock.monotonic() - took >= NEW_HOLDER_WAITS - 1.0
    await world.die(task)


async def test_a_raise_that_lands_late_does_not_undo_full_exposure(make_world: Any, ended: Any) -> None:
    """The first try of 10 % lands 28 s after it was sent, the second at once: 100 % is asked for when it has landed."""
    world = make_world({"phases.1.for": "15s"})
    world.metrics.rate = 100_000.0
    world.platforms["web"].delay = 28.0
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.tries == 1 and bool(world.platforms["web"].sent))
    world.platforms["web"].delay = 0.0
    assert (await ended(task)).ended.outcome == "promoted"
    await world.clock.sleep(60)
    assert world.shares() == [1.0, 1.0]


async def drift_put_right_late(world: Any) -> asyncio.Task[Any]:
    """One target was changed by hand, so 10 % is asked of both again. The other shows it already, whenever that request
    lands, which is 28 s later."""
    task: asyncio.Task[Any] = world.start()
    await world.approve("owner", "lead")
    state = await world.in_canary()
    await world.clock.sleep(state.due - world.clock.now() - 12)
    world.platforms["web"].delay = 28.0
    world.platforms["api"].change_by_hand(0.02)
    before = len(world.platforms["web"].sent)
    await world.until(lambda s: len(world.platforms["web"].sent) > before)
    world.platforms["web"].delay = 0.0
    return task


async def test_a_raise_that_puts_a_drift_right_may_land_late(make_world: Any, ended: Any) -> None:
    """100 % waits until it has landed."""
    world = make_world({"phases.1.for": "40s"})
    world.metrics.rate = 100_000.0
    task = await drift_put_right_late(world)
    assert (await ended(task)).ended.outcome == "promoted"
    await world.clock.sleep(60)
    assert world.shares() == [1.0, 1.0]


async def test_the_way_back_waits_for_what_puts_a_drift_right(make_world: Any, ended: Any, person: Any) -> None:
    """An abort meanwhile is not verified before it has landed, and was lowered."""
    world = make_world({"phases.1.for": "40s"})
    world.metrics.rate = 100_000.0
    task = await drift_put_right_late(world)
    await world.until(lambda s: s.shown and s.tries == 0)
    await world.says(e.AbortAsked(**person()))
    assert (await ended(task)).ended.outcome == "rolled_back"
    await world.clock.sleep(60)
    assert world.shares() == [0.0, 0.0]


async def test_a_raise_that_lands_twice_is_taken_back(world: Any, ended: Any, person: Any) -> None:
    """Aborted right after the raise, which something on the way repeats 4 s later: that is seen, and lowered."""
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1 and s.shown)
    repeated = world.clock.now() + 4.0
    await world.says(e.AbortAsked(**person()))
    await world.until(lambda s: s.rollback is not None)
    await world.clock.sleep(repeated - world.clock.now())
    world.platforms["web"].change_by_hand(0.1)
    with contextlib.suppress(LeaseLost):
        await ended(task)
    assert world.shares() == [0.0, 0.0]
    assert (await world.state()).rollback.verified


async def test_who_stood_still_until_its_lease_had_run_out_only_leaves(world: Any, ended: Any) -> None:
    """It wakes after half a minute and reaches no journal: its successor may have finished, so it lowers nobody."""
    task = world.start()
    await world.in_canary()
    sent = len(world.platforms["web"].sent)
    world.journal.away = True
    world.clock.stand_still(30.0)
    await world.clock.sleep(40)
    assert world.shares() == [0.1, 0.1]
    world.journal.away = False
    await world.journal.take("shop", "r1", "another", world.clock.now(), 20.0)
    with pytest.raises(LeaseLost):
        await ended(task)
    assert len(world.platforms["web"].sent) == sent


async def test_a_raise_to_everybody_that_was_not_sent_is_not_full_exposure(world: Any, ended: Any) -> None:
    """The journal falls silent right behind the intent of 100 %: the users of the canary are lowered after 10 s."""
    task = await world.struck("away", "exposure_intended", share=1.0)
    await world.clock.sleep(12)
    assert world.shares() == [0.0, 0.0]
    world.journal.away = False
    assert (await ended(task)).ended.outcome == "rolled_back"


async def test_an_end_that_waited_in_a_spool_ends_the_guards_looking(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conductor went back without a journal and saw to it; the guard that took over cannot reach a target: what
    the spool tells meanwhile is the end, and no line says "not verified" behind it."""
    numbers = iter(range(100))
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: f"process-{next(numbers)}")
    task = world.start()
    await world.in_canary()
    await world.die(task)
    world.platforms["web"].unreachable = True
    guard = asyncio.create_task(Guard(world.stores, world.opener).watch())
    await world.until(lambda s: s.rollback is not None)
    seen = {name: e.Shown(answer="yes", observed=0.0, detail="") for name in world.platforms}
    end = e.RolloutEnded(outcome="rolled_back", phase="canary", reason="no journal", verified=True)
    for event in (e.RollbackVerified(targets=seen), end):
        world.spool.add("r1", [event.entry(world.clock.now())])
    await world.spool.flush(world.journal)
    await world.clock.sleep(world.plan.rollback.within + 60)
    guard.cancel()
    await asyncio.gather(guard, return_exceptions=True)
    assert "rollback_unverified" not in await world.types()
    assert not await world.journal.locks()
