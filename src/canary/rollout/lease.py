"""The right to conduct: the service's lock row, held by a lease that must be renewed (promise I4)."""

from __future__ import annotations

from canary.errors import JournalUnavailable, LeaseLost
from canary.ports import Clock, Journal, Lock
from canary.rollout.silence import Silence
from canary.rollout.waiting import PROVIDER_TIMEOUT

LEASE = 20.0
RENEW_EVERY = 4.0
NEW_HOLDER_WAITS = LEASE + PROVIDER_TIMEOUT
"""Seconds before a new holder may raise: by then the former one's last request has landed or died."""
REOBSERVE = 30.0
"""Seconds for which a new holder watches for a raise that lands late."""


class Lease:
    """A held lock. `lock` is what the journal last confirmed; all its times are measured on the monotonic clock:
    a wall clock may jump."""

    def __init__(self, journal: Journal, clock: Clock, lock: Lock, ends: float) -> None:
        self.journal = journal
        self.clock = clock
        self.lock = lock
        self.ends = ends
        self.taken = clock.monotonic()
        self.silence = Silence(clock)
        self.lost = False

    @classmethod
    async def take(cls, journal: Journal, clock: Clock, service: str, rollout: str, holder: str) -> Lease:
        """Raises ServiceBusy or LeaseLost when somebody else conducts."""
        asked = clock.monotonic()
        lock = await journal.take(service, rollout, holder, clock.now(), LEASE)
        return cls(journal, clock, lock, asked + LEASE)

    def check(self, epoch: int = 0) -> None:
        """The last statement before a send that may raise; `epoch` is the newest one that was seen to conduct.

        Raises LeaseLost.
        """
        if self.over or epoch > self.lock.epoch:
            raise LeaseLost(f"this process does not conduct {self.lock.service} any more (epoch {self.lock.epoch})")

    @property
    def over(self) -> bool:
        """Whether somebody else may conduct by now."""
        return self.lost or self.clock.monotonic() >= self.ends

    @property
    def settles_in(self) -> float:
        """Seconds until what a former holder has sent can no longer land on top of a raise."""
        return self.taken + NEW_HOLDER_WAITS - self.clock.monotonic()

    async def keep(self) -> None:
        """Renew until the epoch moves on. Ends by returning, never by raising for the journal."""
        while not self.lost:
            await self.clock.sleep(RENEW_EVERY)
            await self._renew()
        # Nothing is asked of the journal for it any more.
        self.silence.ends("renew")

    async def _renew(self) -> None:
        asked = self.clock.monotonic()
        try:
            self.lock = await self.journal.renew(self.lock, self.clock.now(), LEASE)
            self.ends = self.silence.lease_ends = asked + LEASE
            self.silence.ends("renew")
        except LeaseLost:
            self.lost = True
        except JournalUnavailable:
            self.silence.goes_on("renew", asked)
            # The lease runs on: whoever is about to send finds its end by `check`.
            self.lost = self.clock.monotonic() >= self.ends

    async def give_up(self) -> None:
        """Let another process take over at once."""
        await self.journal.yield_lease(self.lock)

    async def release(self) -> None:
        """The rollout is over: the service is free."""
        await self.journal.release(self.lock)
