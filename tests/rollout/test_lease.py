"""The right to conduct: lost with the time, with the epoch, or given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canary.errors import LeaseLost, ServiceBusy
from canary.rollout.lease import LEASE, NEW_HOLDER_WAITS, Lease
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
