"""Ways back that were begun, or asked for, and that nobody carries out: their conductor has died in that moment."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from canary.ports import Lock
from canary.rollout.adapters import Opener
from canary.rollout.by_hand import sealed_adapters
from canary.rollout.conducting import Stores
from canary.rollout.effects import lower_all
from canary.rollout.folding import fold
from canary.rollout.reviving import goes_back
from canary.rollout.state import State

LOOK_EVERY = 2.0
ACTS_WITHIN = 3.0
"""Seconds in which a living conductor acts upon what was journaled last."""
AGAIN_AFTER = 10.0


class Undone:
    """Lowers without a lease, which is always allowed (promise I6), before the dead conductor's runs out."""

    def __init__(self, stores: Stores, opener: Opener) -> None:
        self.stores = stores
        self.opener = opener
        self._looked_at = float("-inf")
        self._states: dict[str, State] = {}
        self._last: dict[str, float] = {}
        self._lowered: dict[str, float] = {}

    async def look(self, locks: Sequence[Lock]) -> None:
        """Every 2 s; else nothing. Raises nothing: what failed is tried again."""
        now = self.stores.clock.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        under_way = {lock.rollout for lock in locks}
        self._states = {name: state for name, state in self._states.items() if name in under_way}
        for rollout in under_way:
            with contextlib.suppress(Exception):
                await self._see_to(rollout)

    async def _see_to(self, rollout: str) -> None:
        state = self._states.get(rollout, State(rollout))
        async for entry in self.stores.journal.lines(rollout, state.seq):
            state = fold(state, [entry])
            self._last[rollout] = entry.at
        self._states[rollout] = state
        now = self.stores.clock.now()
        silent = now - self._last[rollout] >= ACTS_WITHIN
        if silent and _waits(state) and now - self._lowered.get(rollout, 0.0) >= AGAIN_AFTER:
            self._lowered[rollout] = now
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
