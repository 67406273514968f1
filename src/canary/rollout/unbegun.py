"""Rollouts whose first line is all there is: who began them died before it took the lock."""

from __future__ import annotations

from canary.errors import JournalError, JournalUnavailable
from canary.rollout.conducting import Stores
from canary.rollout.events import TYPES, Decision, RolloutEnded, RolloutStarted

LOOK_EVERY = 30.0
BEGINS_WITHIN = 60.0
"""Seconds from the first line of a rollout in which somebody should have taken its lock."""


class Unbegun:
    """Ends them, so that none is under way for ever. What a conductor has written to is not looked at again."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._begun: set[str] = set()
        self._looked_at = float("-inf")

    async def end(self) -> None:
        """Every 30 s; else nothing. Raises JournalUnavailable."""
        now = self.stores.clock.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        for rollout in await self.stores.journal.rollouts():
            if rollout not in self._begun:
                await self._see_to(rollout)

    async def _see_to(self, rollout: str) -> None:
        try:
            await self._look(rollout)
        except JournalUnavailable:
            raise
        except JournalError:
            # Somebody begins it in this moment, or another version wrote it: it must stop no other.
            return

    async def _look(self, rollout: str) -> None:
        now = self.stores.clock.now()
        since, newest = now, 0
        async for line in self.stores.journal.lines(rollout):
            # What people say begins nothing.
            if line.type not in TYPES or not issubclass(TYPES[line.type], Decision | RolloutStarted):
                self._begun.add(rollout)
                return
            since, newest = min(since, line.at), line.seq
        if now - since < BEGINS_WITHIN:
            return
        reason = "its conductor died before it had the service's lock: nothing was touched"
        ended = RolloutEnded(outcome="refused", phase="preflight", reason=reason, verified=True)
        await self.stores.journal.append(rollout, newest, [ended.entry(now)])
