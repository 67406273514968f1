"""What is drawn for the rounds of the real chaos."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bench.chaos.real.script import BACK, BOUNDARIES, EFFECTS, ENOUGH, SIDES, Kill, Part, Round, draw

SERVICES = ("s1", "s2", "s3", "s4")
PLACES = [f"{name} {side}" for name in EFFECTS for side in SIDES]
seeds, numbers = st.integers(0, 2**31), st.integers(1, 500)
counts = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 9))
rounds = st.builds(lambda seed, number, killed: draw(seed, number, SERVICES, killed, {}), seeds, numbers, counts)


def deaths(round_: Round) -> list[Kill]:
    """Of flows, at the places of effects."""
    return [kill for part in round_.parts for kill in part.kills if kill.of_effect]


def odd(part: Part) -> bool:
    return not all(kill.of_effect for kill in part.kills)


@given(seeds, numbers, counts)
def test_one_seed_and_number_are_one_round(seed: int, number: int, killed: dict[str, int]) -> None:
    """The same counts before it, the same round: a failing one can be played again."""
    assert draw(seed, number, SERVICES, killed, {}) == draw(seed, number, SERVICES, killed, {})


@given(seeds, numbers, counts)
def test_most_lose_their_flow_twice_or_more(seed: int, number: int, killed: dict[str, int]) -> None:
    """Others are struck otherwise; of what all share, one thing is struck in a round."""
    round_ = draw(seed, number, SERVICES, killed | {"expose up before": 0}, {})
    assert [part.service for part in round_.parts] == list(SERVICES)
    assert sum(map(odd, round_.parts)) in (1, 2)
    assert all(1 <= len(part.kills) <= 3 for part in round_.parts)
    assert len(next(part.kills for part in round_.parts if not odd(part))) >= 2
    strikes = [kill for part in round_.parts for kill in part.kills if not kill.of_effect]
    assert len([kill for kill in strikes if kill.victim != "flow"]) <= 1


@given(seeds)
def test_who_has_died_on_the_way_up_often_enough_dies_later_alone(seed: int) -> None:
    """Where no other conductor comes in time, only a first death is sure to be one."""
    killed = dict.fromkeys(PLACES[:10], ENOUGH)
    parts = [part for number in range(5) for part in draw(seed, number, SERVICES, killed, {}).parts]
    assert all(part.kills[0].place in PLACES[10:] for part in parts if not odd(part))


@given(rounds)
def test_each_death_lies_ahead_of_the_one_before(round_: Round) -> None:
    """Behind a journaled way back no other conductor comes: there the guard ends the rollout."""
    for part in round_.parts:
        places = [kill.place for kill in part.kills if kill.of_effect]
        assert sorted(places, key=PLACES.index) == places
        assert len(set(places)) == len(places)
        final = [place for place in places if place.partition(" ")[0] in BACK or place.startswith("expose down")]
        assert len([place for place in final if place != "rollback_started before"]) <= 1


@given(rounds)
def test_the_candidate_comes_by_its_boundaries(round_: Round) -> None:
    """A way back needs a bad candidate, a closing a good one; a guard is struck behind a dead flow alone."""
    for part in round_.parts:
        if part.kills[-1].victim == "guard":
            assert part.kills[0].victim == "flow"
        names = {kill.boundary for kill in part.kills}
        assert not (names & {*BACK} and names & {"closing_done", "phase_passed"})
        assert part.bad or not names & {*BACK}
        assert not part.bad or not names & {"closing_done", "phase_passed"}


@given(seeds, st.sampled_from(PLACES))
def test_what_was_struck_least_comes_first(seed: int, place: str) -> None:
    """Of all places but one struck often enough, that one is next."""
    killed = dict.fromkeys(PLACES, ENOUGH) | {place: ENOUGH - 1}
    round_ = draw(seed, 7, SERVICES, killed, {})
    # Rollouts end at many places, and three of them end here.
    assert place in {kill.place for kill in deaths(round_)}


def test_sixteen_rounds_kill_at_every_place_often_enough() -> None:
    """Were every kill to have its moment."""
    killed: Counter[str] = Counter()
    for number in range(1, 17):
        killed.update(kill.place for kill in deaths(draw(3, number, SERVICES, killed, {})))
    assert min(killed[place] for place in PLACES) >= ENOUGH
    assert sum(killed.values()) >= 5 * 22


def test_every_process_gets_every_signal_in_the_long_run() -> None:
    """Of the rollouts that are struck otherwise; and in the end at every boundary, on both sides."""
    struck: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for number in range(1, 301):
        kills = [kill for part in draw(3, number, SERVICES, {}, struck).parts for kill in part.kills]
        struck.update(kill.place for kill in kills if not kill.of_effect)
        seen |= {(kill.victim, kill.signal) for kill in kills if not kill.of_effect}
    programs = {(victim, signal) for victim in ("worker", "guard", "server", "postgres") for signal in signals}
    assert seen == programs | {("flow", "TERM"), ("flow", "STOP")}
    assert all(struck[f"{name} {side}"] for name in BOUNDARIES for side in SIDES)


signals = ("KILL", "TERM", "STOP")


@given(rounds)
def test_nobody_is_away_for_long(round_: Round) -> None:
    """A round is as long as its longest strike: just longer than a lease and what a guard waits behind it."""
    assert all(kill.lasts <= 32.0 for part in round_.parts for kill in part.kills)


def test_a_place_is_named_as_the_counts_name_it() -> None:
    """Boundary and side; and only a flow that is killed counts for an effect."""
    kill = Kill("flow", "KILL", "expose up", "before")
    assert (kill.place, kill.of_effect) == ("expose up before", True)
    assert not Kill("flow", "STOP", "expose up", "before").of_effect
    assert not Kill("flow", "KILL", "sampled", "before").of_effect
    assert not Kill("guard", "KILL", "expose down", "before").of_effect
