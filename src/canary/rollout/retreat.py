"""The way back: exposure 0 to all targets at once, then seeing to it. Journaled, but never waiting for the journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from canary.errors import JournalUnavailable
from canary.plan.model import Plan
from canary.ports import Target
from canary.rollout.effects import keep_down, look_at_all, lower_all, send, shown
from canary.rollout.events import (
    Cause,
    Event,
    ExposureIntended,
    ExposureObserved,
    FeatureOffIntended,
    Identities,
    RollbackStarted,
    RollbackUnverified,
    RollbackVerified,
)
from canary.rollout.features import flags_as_identity
from canary.rollout.lease import REOBSERVE, Lease
from canary.rollout.record import Record
from canary.rollout.waiting import PROVIDER_TIMEOUT, at_most

JOURNAL_FIRST = 0.5
"""Seconds that the intent may take to be journaled before exposure 0 is sent all the same (promise I6)."""
LOOK_EVERY = 1.0


class Retreat:
    """Lowers and verifies. A raise never comes from here, but what may still land of this process's raises is known."""

    def __init__(self, plan: Plan, record: Record, lease: Lease, targets: Mapping[str, Target]) -> None:
        self.plan = plan
        self.record = record
        self.lease = lease
        self.targets = targets
        self.clock = record.clock
        self._raised_at = float("-inf")
        self._open: dict[float, float] = {}

    def raised(self, share: float, again: bool) -> None:
        """This process has just asked for that share. `again`, where it had been asked for before: what was seen then
        need not be of this try, which may still be on its way."""
        self._raised_at = self.clock.monotonic()
        if again:
            self._open[share] = self._raised_at + REOBSERVE

    def lands_in(self, share: float) -> float:
        """Seconds until no raise to another share can land on top of this one any more; 0 when none can now."""
        ends = [until for other, until in self._open.items() if other != share]
        return max(0.0, max(ends, default=0.0) - self.clock.monotonic())

    async def lower(self, cause: Cause, reason: str, before: Sequence[Event] = ()) -> None:
        """Send exposure 0. `before` are the lines that led here: they are journaled with the intent, in one piece."""
        release = self.record.state.release
        started = RollbackStarted(cause=cause, reason=reason)
        intent = ExposureIntended(share=0.0, targets=tuple(release), why=reason)
        journaled = asyncio.ensure_future(self.record.insist(*before, started, intent))
        await at_most(self.clock, JOURNAL_FIRST, journaled)
        looked = await lower_all(self.clock, self.targets, release, self.lease.lock.epoch)
        await journaled
        await self.record.insist(ExposureObserved(share=0.0, targets=shown(looked)))

    async def leave_out(self, off: FeatureOffIntended, before: Sequence[Event] = ()) -> None:
        """Switch one feature off, and nothing else. `before` as in `lower`."""
        journaled = asyncio.ensure_future(self.record.insist(*before, off))
        await at_most(self.clock, JOURNAL_FIRST, journaled)
        await self._send_off(off.target, off.flag)
        await journaled
        await self._look_at_share()

    async def leave_out_again(self, target: str, flag: str) -> None:
        """What was intended does not show."""
        await self._send_off(target, flag)
        await self._look_at_share()

    async def _send_off(self, target: str, flag: str) -> None:
        """This flag alone: like every way back it needs no lease, for it puts no user on anything."""
        alone = flags_as_identity({flag: False})
        identities = Identities(candidate=alone, stable=self.record.state.release[target].stable)
        # Should it land behind a later way back, that one is looked at until nothing can land any more.
        self.raised(self.record.state.asked, again=True)
        await send(self.clock, self.targets[target], identities, 1.0, self.lease.lock.epoch)

    async def _look_at_share(self) -> None:
        state = self.record.state
        looked = await look_at_all(self.clock, self.targets, state.release, state.asked)
        await self.record.insist(ExposureObserved(share=state.asked, targets=shown(looked)))

    async def finish(self) -> bool:
        """Look until every target shows 0, lowering again what does not; unverified once `rollback.within` is over."""
        rollback = self.record.state.rollback
        started = rollback.started_at if rollback else self.clock.now()
        begun = self.clock.now()
        until = begun + self._linger()
        while True:
            looked = await keep_down(self.clock, self.targets, self.record.state.release, self.lease.lock.epoch)
            off = {name: v for name, v in looked.items() if v.answer != "yes"}
            if not off and self.clock.now() >= until:
                await self.record.insist(RollbackVerified(targets=shown(looked)))
                return True
            if off and self.clock.now() >= max(started, begun) + self.plan.rollback.within:
                waited = self.clock.now() - started
                return await self._gave_up(RollbackUnverified(targets=shown(off), waited_seconds=waited))
            await self.clock.sleep(LOOK_EVERY)

    async def _gave_up(self, unverified: RollbackUnverified) -> bool:
        """Whether it is verified all the same: by the former conductor, whose spooled end came in meanwhile."""
        with contextlib.suppress(JournalUnavailable):
            await self.record.refresh()
        if self.record.state.ended:
            return True
        await self.record.insist(unverified)
        return False

    def _linger(self) -> float:
        """A raise of ours or of a former holder may still land: its answer was lost, it was asked for again, or the
        holder was replaced. One that was seen may land once more as long as something on the way may send it again."""
        state = self.record.state
        if state.raise_open or state.takeovers:
            return REOBSERVE
        lands = max([self._raised_at + PROVIDER_TIMEOUT, *self._open.values()])
        return max(0.0, lands - self.clock.monotonic())
