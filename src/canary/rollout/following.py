"""Rollouts as far as their journals go, each read on from where it was left."""

from __future__ import annotations

from collections.abc import Collection

from canary.ports import Journal
from canary.rollout.folding import fold
from canary.rollout.state import State


class Following:
    """Of a process that looks again and again: a look costs what is new, not days of blocks."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._read: dict[str, State] = {}

    async def of(self, rollout: str) -> State:
        """Up to its newest line. Raises JournalError (and JournalUnavailable) where it cannot be read."""
        state = self._read.get(rollout, State(rollout))
        async for entry in self.journal.lines(rollout, state.seq):
            state = fold(state, [entry])
        self._read[rollout] = state
        return state

    def forget_all_but(self, rollouts: Collection[str]) -> None:
        """What is asked for again later is read from its first line."""
        self._read = {name: state for name, state in self._read.items() if name in rollouts}
