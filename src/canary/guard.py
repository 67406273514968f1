"""The guard: finishes what a dead conductor left. Needs the journal and the vault, neither Prefect nor its database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from canary.errors import CanaryError, JournalUnavailable
from canary.ports import Lock
from canary.rollout.adapters import Opener, open_adapters
from canary.rollout.alarm import Alarm, Routes
from canary.rollout.by_hand import finish
from canary.rollout.conducting import Stores, conducting, refuse, taking
from canary.rollout.events import Cause
from canary.rollout.following import Following
from canary.rollout.record import Listener
from canary.rollout.reviving import Reviver, Runs
from canary.rollout.unbegun import Unbegun
from canary.rollout.undone import Undone

EXPIRED_FOR = 5.0
"""Seconds after a lease's end before the guard acts (design I4)."""
LOOK_EVERY = 1.0


class Guard:
    """Looks at every lock. What has no living conductor gets another one, as long as one may come; else it is rolled
    back, or, at full, brought to its end.

    runs: where other conductors are asked for; None without a Prefect to ask.
    routes: where it keeps whom to page, for a start without the journal; None where nothing is kept.
    looked_at: unix seconds of the last look that the journal answered; None before the first.
    """

    def __init__(
        self,
        stores: Stores,
        opener: Opener,
        listeners: tuple[Listener, ...] = (),
        runs: Runs | None = None,
        routes: Routes | None = None,
    ) -> None:
        self.stores = stores
        self.opener = opener
        self.listeners = listeners
        self._following = Following(stores.journal)
        self._alarm = Alarm(stores, opener, self._following, routes)
        self._unbegun = Unbegun(stores)
        self._undone = Undone(stores, opener, self._following)
        self._reviver = Reviver(stores, runs) if runs else None
        self.looked_at: float | None = None
        self._busy: set[str] = set()

    async def watch(self) -> None:
        """For ever. A journal that is away is waited for, and paged for: without it there is nothing to know.

        A recovery, or a lowering, may take minutes; meanwhile the other services are watched as ever.
        """
        async with asyncio.TaskGroup() as works:
            lowering = None
            while True:
                locks = await self._locks()
                if lowering is None or lowering.done():
                    lowering = works.create_task(self._undone.look(locks))
                for lock in self._gone(locks):
                    if lock.rollout not in self._busy:
                        works.create_task(self._recover(lock))
                await self.stores.clock.sleep(LOOK_EVERY)

    async def look(self) -> Sequence[str]:
        """One look; the rollouts it brought to an end. Raises nothing: what failed is tried again at the next look."""
        locks = await self._locks()
        await self._undone.look(locks)
        gone = self._gone(locks)
        recovered = await asyncio.gather(*(self._recover(lock) for lock in gone))
        return [lock.rollout for lock, done in zip(gone, recovered, strict=True) if done]

    async def _locks(self) -> Sequence[Lock]:
        """Of every rollout under way; none while the journal does not answer."""
        try:
            await self.stores.spool.flush(self.stores.journal)
            locks = await self.stores.journal.locks()
            await self._unbegun.end()
        except JournalUnavailable:
            await self._alarm.silent("read")
            return ()
        self._following.forget_all_but({lock.rollout for lock in locks})
        await self._alarm.heard(locks)
        self.looked_at = self.stores.clock.now()
        return locks

    def _gone(self, locks: Sequence[Lock]) -> Sequence[Lock]:
        """The locks of conductors that have died."""
        now = self.stores.clock.now()
        return [lock for lock in locks if lock.lease_until + EXPIRED_FOR < now]

    async def _recover(self, lock: Lock) -> bool:
        self._busy.add(lock.rollout)
        try:
            if await self._another_may_come(lock):
                return False
            await self._finish(lock)
            self._alarm.answered("write")
        except JournalUnavailable:
            # It answers what is read of it, or the lock would not have been found.
            await self._alarm.silent("write")
            return False
        except Exception:
            # Somebody else was faster, or something does not answer, or one journal is broken: the next look finds
            # what is left, and no single rollout may end the guard of the others.
            return False
        finally:
            self._busy.discard(lock.rollout)
        return True

    async def _another_may_come(self, lock: Lock) -> bool:
        state = await self._following.of(lock.rollout)
        begun = state.release and not state.ended
        return bool(begun and self._reviver and await self._reviver.may_come(state, lock))

    async def _finish(self, lock: Lock) -> None:
        """Takes the dead conductor's place."""
        state = await self._following.of(lock.rollout)
        if not state.release or state.ended or state.at_full:
            await self._close(lock)
            return
        cause: Cause = "abort" if state.stop else "guard"
        reason = f"conductor {lock.holder} is gone: its lease expired"
        if state.stop:
            reason = f"{state.stop.kind} by {state.stop.by}: {state.stop.reason}"
        await finish(self.stores, lock.rollout, self.opener, cause, reason, self.listeners)

    async def _close(self, lock: Lock) -> None:
        """Nothing is half rolled out: end what never began, or what had reached its end."""
        async with taking(self.stores, lock.rollout, self.listeners) as seat:
            state = seat.record.state
            if state.ended:
                if state.rollback:
                    await self.stores.vault.drop(lock.rollout)
                await seat.lease.release()
            elif not state.release:
                await refuse(seat, CanaryError(f"conductor {lock.holder} died in preflight: nothing was touched"))
            else:
                adapters = open_adapters(seat.plan, await self.stores.vault.open(lock.rollout), self.opener)
                async with conducting(seat, adapters) as conductor:
                    conductor.desk.page(f"{lock.rollout}:guard", f"conductor {lock.holder} died at full exposure")
                    await conductor.promote()
