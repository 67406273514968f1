"""The right to conduct: lost with the time, with the epoch, or given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canary.errors import LeaseLost, ServiceBusy
from canary.rollout.lease import LEASE, NEW_HOLDER_WAITS, RENEW_EVERY, REOBSERVE, Lease
from canary.rollout.waiting import PROVIDER_TIMEOUT


async def taken(world: Any, rollout: str = "r1", holder: str = "one") -> Lease:
    return await Lease.take(world.journal, world.clock, "shop", rollout, holder)


async def test_a_lease_allows_until_it_ends(world: Any) -> None:
    """Twenty seconds without a renewal: up to then a raise may be sent, from then on not."""
    lease = await taken(world)
    await world.clock.sleep(LEASE - 0.1)
    lease.check()
    await world.clock.sleep(0.1)
    with pytest.raises(LeaseLost, match="epoch 1"):
        lease.check()


async def test_a_kept_lease_goes_on(world: Any) -> None:
    """Renewed every few seconds it outlives its length, and the guard sees it run in the journal."""
    lease = await taken(world)
    keeping = asyncio.create_task(lease.keep())
    await world.clock.sleep(3 * LEASE)
    lease.check()
    assert (await world.journal.locks())[0].lease_until > world.clock.now() + LEASE / 2
    keeping.cancel()


async def test_a_lease_whose_epoch_moved_on_is_over_at_once(world: Any) -> None:
    """Somebody else took the lock: at the next renewal the former holder knows, and stops renewing."""
    lease = await taken(world)
    await taken(world)
    await asyncio.wait_for(lease.keep(), 5)
    assert lease.lost
    with pytest.raises(LeaseLost):
        lease.check()


async def test_a_journal_that_is_away_lets_the_lease_run_out(world: Any) -> None:
    """Unanswered renewals lengthen nothing: it ends when the last confirmed one does, and never comes back."""
    lease = await taken(world)
    keeping = asyncio.create_task(lease.keep())
    await world.clock.sleep(5)
    world.journal.away = True
    await world.clock.sleep(10)
    lease.check()
    await world.clock.sleep(LEASE)
    world.journal.away = False
    await world.clock.sleep(10)
    with pytest.raises(LeaseLost):
        lease.check()
    assert keeping.done()


async def test_what_is_given_up_can_be_taken_at_once(world: Any) -> None:
    """The same rollout by another holder, and no other rollout of the service."""
    lease = await taken(world)
    with pytest.raises(LeaseLost):
        await taken(world, holder="two")
    await lease.give_up()
    with pytest.raises(ServiceBusy):
        await taken(world, "r2", "two")
    assert (await taken(world, holder="two")).lock.epoch == 2


async def test_a_released_service_is_free(world: Any) -> None:
    """The rollout is over: another one may begin, under an epoch that never was."""
    await (await taken(world)).release()
    assert await world.journal.locks() == ()
    assert (await taken(world, "r2", "two")).lock.epoch == 2


def test_a_new_holder_outwaits_the_former_ones_last_request() -> None:
    """The lease, in which it may have passed its check, and the time-out of what it then sent."""
    assert NEW_HOLDER_WAITS >= LEASE + PROVIDER_TIMEOUT


async def test_a_successor_that_was_seen_ends_the_right_at_once(world: Any) -> None:
    """The journal shows a newer epoch before the next renewal does; one's own, or an older one, takes nothing."""
    lease = await taken(world)
    lease.check(lease.lock.epoch)
    lease.check(lease.lock.epoch - 1)
    with pytest.raises(LeaseLost):
        lease.check(lease.lock.epoch + 1)
    lease.check()


async def test_the_lock_in_the_journal_is_the_one_that_was_asked_for(world: Any) -> None:
    """Service, rollout and holder, until one lease from now; renewed, it is the newer one."""
    lease = await taken(world)
    (lock,) = await world.journal.locks()
    assert lease.lock == lock
    assert (lock.service, lock.rollout, lock.holder) == ("shop", "r1", "one")
    assert lock.lease_until == world.clock.now() + LEASE
    keeping = asyncio.create_task(lease.keep())
    await world.clock.sleep(RENEW_EVERY + 0.1)
    assert lease.lock == (await world.journal.locks())[0]
    assert lease.lock.lease_until == world.clock.now() - 0.1 + LEASE
    keeping.cancel()


async def test_a_lease_is_renewed_every_four_seconds_and_not_in_between(world: Any) -> None:
    """Five times in its length: four renewals may fail before it is lost."""
    lease = await taken(world)
    first = lease.lock
    keeping = asyncio.create_task(lease.keep())
    await world.clock.sleep(3.9)
    assert lease.lock == first
    await world.clock.sleep(0.2)
    assert lease.lock != first
    assert (LEASE, RENEW_EVERY) == (20.0, 4.0)
    keeping.cancel()


@pytest.mark.parametrize("slowly", [0.0, 3.0])
async def test_a_lease_ends_counted_from_when_it_was_asked_for(
    world: Any, monkeypatch: pytest.MonkeyPatch, slowly: float
) -> None:
    """An answer that takes its time takes it from the lease, when it is taken and when it is renewed."""

    def late(call: Any) -> Any:
        async def answer(*args: Any) -> Any:
            found = await call(*args)
            await world.clock.sleep(slowly)
            return found

        return answer

    for verb in ("take", "renew"):
        monkeypatch.setattr(world.journal, verb, late(getattr(world.journal, verb)))
    asked = world.clock.monotonic()
    lease = await taken(world)
    assert lease.ends == asked + LEASE
    keeping = asyncio.create_task(lease.keep())
    asked = world.clock.monotonic() + RENEW_EVERY
    await world.clock.sleep(RENEW_EVERY + slowly + 0.1)
    assert lease.ends == asked + LEASE
    keeping.cancel()


async def test_who_hears_nothing_stops_renewing_at_its_end(world: Any) -> None:
    """A journal that is away is asked again while the lease runs; at its end it is lost, and nobody asks any more."""
    lease = await taken(world)
    world.journal.away = True
    keeping = asyncio.create_task(lease.keep())
    await world.clock.sleep(LEASE - 0.1)
    assert not lease.lost
    assert not lease.over
    await world.clock.sleep(0.2)
    assert lease.lost
    assert keeping.done()


async def test_a_new_holder_settles_when_the_former_ones_last_request_has_landed(world: Any) -> None:
    """26 s after it took the lock: the lease in which the former one may have sent, and the time-out of that."""
    lease = await taken(world)
    assert lease.settles_in == NEW_HOLDER_WAITS == 26.0
    await world.clock.sleep(20)
    assert lease.settles_in == 6.0
    assert REOBSERVE == 30.0


async def test_giving_up_leaves_the_lock_to_others_and_releasing_frees_the_service(world: Any) -> None:
    """By the lock that was confirmed last."""
    lease = await taken(world)
    await lease.give_up()
    assert (await world.journal.locks())[0].lease_until < world.clock.now()
    await lease.release()
    assert await world.journal.locks() == ()
