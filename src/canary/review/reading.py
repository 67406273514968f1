"""One pass over a rollout's journal: where it stands, and the columns of what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from canary.ports import Entry, Journal
from canary.review.frame import Columns
from canary.rollout.folding import fold
from canary.rollout.people import unknown
from canary.rollout.state import State


@dataclass(slots=True)
class Reading:
    """state: what a review needs of it, without the soaks' evidence: blocks are most of a journal, and are columns."""

    state: State
    columns: Columns = field(default_factory=Columns)

    def add(self, entry: Entry) -> None:
        """The journal's next line."""
        self.columns.add(entry)
        if entry.type != "sampled":
            self.state = fold(self.state, [entry])


async def read(journal: Journal, rollout: str) -> Reading:
    """A rollout's journal as it is now; whoever else runs here goes on meanwhile. Raises UnknownRollout."""
    reading = Reading(State(rollout))
    async for entry in journal.lines(rollout):
        reading.add(entry)
    return reading if reading.state.seq else await unknown(journal, rollout)
