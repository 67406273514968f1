"""What is not worked out again in a run: the same plan from the same text, the same state from the same line.

Both are pure functions of what they are given, and most of a run's time went into them: every process folds every line
of one journal. Of one seed in `FAITHFUL` nothing is remembered, and each run is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from bench.chaos.processes import ROLLOUT
from canary.plan.load import parse_plan
from canary.ports import Entry
from canary.rollout import alarm, by_hand, conducting, folding, record
from canary.rollout.events import Event
from canary.rollout.folding import read
from canary.rollout.state import State

FAITHFUL = 50
_BEGIN = State(ROLLOUT)
_parsed = lru_cache(maxsize=1000)(parse_plan)


@contextmanager
def memory(seed: int) -> Iterator[None]:
    """For the run of that seed: what it has folded is known while the block lasts."""
    if seed % FAITHFUL == 0:
        yield
        return
    for parses in (alarm, by_hand, conducting):
        parses.parse_plan = _parsed  # type: ignore[attr-defined]
    remembered = _Lines()
    for reads in (folding, record):
        reads.read = remembered  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for parses in (alarm, by_hand, conducting):
            parses.parse_plan = parse_plan  # type: ignore[attr-defined]
        for reads in (folding, record):
            reads.read = read  # type: ignore[attr-defined]


class _Lines:
    """`folding.read`, of each pair of a state and a line once. What is known keeps both, so that an id stays theirs."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], tuple[State, Entry, tuple[Event, State]]] = {}

    def __call__(self, state: State, entry: Entry) -> tuple[Event, State]:
        if not state.seq and state == _BEGIN:
            state = _BEGIN
        step = self.known.get((id(state), id(entry)))
        if step is None:
            step = self.known[id(state), id(entry)] = (state, entry, read(state, entry))
        return step[2]
