"""Going through a rollout's journal once: what a review needs of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from canary.errors import UnknownRollout
from canary.ports import Increment, NewEntry
from canary.review.reading import read
from canary.rollout.folding import fold
from canary.rollout.state import State
from canary.testing.journal import MemoryJournal

from .conftest import Story


@pytest.fixture
async def journal(promoted: Callable[..., Story]) -> MemoryJournal:
    """A day's journal, as a conductor writes it."""
    kept = MemoryJournal()
    story = promoted({"http_errors": {"canary": Increment(100.0, 1.0)}}, {"http_errors": {"canary": Increment(50.0)}})
    await kept.append("r1", 0, [NewEntry(line.at, line.type, line.data) for line in story.entries])
    return kept


async def test_the_state_is_that_of_the_journal_but_for_the_blocks(journal: MemoryJournal) -> None:
    """Where it stands, what passed and when reviews are due; the soak's evidence is in the columns."""
    told = await read(journal, "r1")
    state = fold(State("r1"), await journal.read("r1"))
    assert (told.state.passed, told.state.reviews, told.state.ended) == (state.passed, state.reviews, state.ended)
    assert told.columns.full_at == state.ended_at
    found = told.columns.frames()
    assert (len(found.blocks), found.bad_met) == (120 + 288, 120)
    assert told.columns.newest == found.blocks["at"].iloc[-1]


async def test_what_was_read_has_a_short_repr(journal: MemoryJournal) -> None:
    """asyncio.run makes one of what it returns: that of all columns takes as long as reading them."""
    assert len(repr((await read(journal, "r1")).columns)) < 200


async def test_an_unknown_rollout_is_named_with_those_there_are(journal: MemoryJournal) -> None:
    """A typing error is found by its neighbours."""
    with pytest.raises(UnknownRollout, match=r"(?s)'r2'.*r1"):
        await read(journal, "r2")
