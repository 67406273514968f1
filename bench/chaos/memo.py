"""What is not worked out again in a run: the same plan from the same text, the same state from the same line.

Both are pure functions of what they are given, and most of a run's time went into them: every process folds every line
of one journal. Of one seed in `FAITHFUL` nothing is remembered, and each run is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from bench.chaos.processes import ROLLOUT
from canary.plan.load import parse_plan
from canary.ports import Entry
from canary.rollout import alarm, by_hand, conducting, people, record, undone
from canary.rollout.folding import fold
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
    for reads in (alarm, by_hand, conducting):
        reads.parse_plan = _parsed  # type: ignore[attr-defined]
    folded = _Folds()
    for folds in (people, record, undone):
        folds.fold = folded  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for reads in (alarm, by_hand, conducting):
            reads.parse_plan = parse_plan  # type: ignore[attr-defined]
        for folds in (people, record, undone):
            folds.fold = fold  # type: ignore[attr-defined]


class _Folds:
    """`folding.fold`, of each pair of a state and a line once. What is known keeps both, so that an id stays theirs."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], tuple[State, Entry, State]] = {}

    def __call__(self, state: State, entries: Iterable[Entry]) -> State:
        for entry in entries:
            if not state.seq and state == _BEGIN:
                state = _BEGIN
            step = self.known.get((id(state), id(entry)))
            if step is None:
                step = self.known[id(state), id(entry)] = (state, entry, fold(state, [entry]))
            state = step[2]
        return state
