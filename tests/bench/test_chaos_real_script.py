"""What is drawn for the rounds of the real chaos."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bench.chaos.real.script import BACK, BOUNDARIES, ENOUGH, FORWARD, SIDES, Kill, draw

SERVICES = ("s1", "s2", "s3", "s4")
seeds = st.integers(0, 2**31)


@given(seeds, st.integers(1, 500))
def test_one_seed_and_number_are_one_round(seed: int, number: int) -> None:
    """The same counts before it, the same round: a failing one can be played again."""
    assert draw(seed, number, SERVICES, {}) == draw(seed, number, SERVICES, {})


@given(seeds, st.integers(1, 500))
def test_every_rollout_is_struck_and_shared_processes_once(seed: int, number: int) -> None:
    """Each service has its own flow to lose; of what all share, one thing is struck in a round."""
    parts = draw(seed, number, SERVICES, {}).parts
    assert [part.service for part in parts] == list(SERVICES)
    assert all(part.kills for part in parts)
    assert len({kill.victim for part in parts for kill in part.kills} - {"flow"}) <= 1


@given(seeds, st.integers(1, 500))
def test_the_candidate_comes_by_its_boundary(seed: int, number: int) -> None:
    """A way back needs a bad candidate, a promotion a good one; a guard is struck behind a dead flow alone."""
    for part in draw(seed, number, SERVICES, {}).parts:
        first, last = part.kills[0], part.kills[-1]
        if last.victim == "guard":
            assert first.victim == "flow"
        names = {(kill.boundary, kill.nth) for kill in part.kills}
        if {name for name, _ in names} & {*BACK}:
            assert part.bad
        elif first.boundary in FORWARD or ("exposure_intended:up", 2) in names:
            assert not part.bad


@given(seeds)
def test_what_was_struck_least_comes_first(seed: int) -> None:
    """Of all places but one struck often enough, that one is next."""
    counts = {f"{name} {side}": ENOUGH for name in BOUNDARIES for side in SIDES}
    counts["judged before"] = ENOUGH - 1
    parts = draw(seed, 7, SERVICES, counts).parts
    assert next(part.kills[0].place for part in parts if part.kills[-1].victim != "guard") == "judged before"


def test_a_long_run_strikes_every_place_often_enough() -> None:
    """Were every kill to have its moment, 150 rounds would do."""
    counts: Counter[str] = Counter()
    for number in range(1, 151):
        counts.update(kill.place for part in draw(3, number, SERVICES, counts).parts for kill in part.kills)
    assert min(counts[f"{name} {side}"] for name in BOUNDARIES for side in SIDES) >= ENOUGH


def test_a_place_is_named_as_the_counts_name_it() -> None:
    """Boundary and side."""
    assert Kill("flow", "KILL", "expose up", "before").place == "expose up before"
