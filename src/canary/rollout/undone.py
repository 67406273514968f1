"""Ways back that were begun, or asked for, and that nobody carries out: their conductor has died in that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from canary.ports import Lock
from canary.rollout.adapters import Opener
from canary.rollout.by_hand import sealed_adapters
from canary.rollout.conducting import Stores
from canary.rollout.effects import lower_all
from canary.rollout.following import Following
from canary.rollout.reviving import goes_back
from canary.rollout.state import State

LOOK_EVERY = 2.0
ACTS_WITHIN = 3.0
"""Seconds in which a living conductor acts upon what was journaled last."""
AGAIN_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """The newest line, and when this process found it and lowered: monotonic, for another's clock may be wrong."""

    seq: int
    since: float
    lowered_at: float = float("-inf")


class Undone:
    """Lowers without a lease, which is always allowed (promise I6), before the dead conductor's runs out."""

    def __init__(self, stores: Stores, opener: Opener, following: Following) -> None:
        self.stores = stores
        self.opener = opener
        self.following = following
        self._looked_at = float("-inf")
        self._seen: dict[str, _Seen] = {}

    async def look(self, locks: Sequence[Lock]) -> None:
        """Every 2 s; else nothing. Raises nothing: what failed is tried again."""
        now = self.stores.clock.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        under_way = {lock.rollout for lock in locks}
        self._seen = {name: seen for name, seen in self._seen.items() if name in under_way}
        await asyncio.gather(*(self._see_to(rollout) for rollout in sorted(under_way)), return_exceptions=True)

    async def _see_to(self, rollout: str) -> None:
        state = await self.following.of(rollout)
        now, seen = self.stores.clock.monotonic(), self._seen.get(rollout)
        if seen is None or seen.seq != state.seq:
            seen = replace(seen, seq=state.seq, since=now) if seen else _Seen(state.seq, now)
        silent = now - seen.since >= ACTS_WITHIN
        due = silent and _waits(state) and now - seen.lowered_at >= AGAIN_AFTER
        self._seen[rollout] = replace(seen, lowered_at=now) if due else seen
        if due:
            await self._lower(state)

    async def _lower(self, state: State) -> None:
        adapters = await sealed_adapters(self.stores, state, self.opener)
        try:
            await lower_all(self.stores.clock, adapters.targets, state.release, state.epoch)
        finally:
            await adapters.close()


def _waits(state: State) -> bool:
    """Users may be on a candidate that is to have none."""
    back = goes_back(state) and bool(state.release) and not state.ended
    return back and not (state.asked == 0 and state.shown)
