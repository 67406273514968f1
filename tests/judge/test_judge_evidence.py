"""Blocks and their fold."""

from __future__ import annotations

import json
import math
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block, Evidence
from canary.ports import Arm, Increment, Scrape

counts = st.integers(0, 10**12)
edges = st.sampled_from([0.005, 0.1, 0.2, 1 / 3])
increments = st.builds(Increment, counts, counts, st.dictionaries(edges, counts), st.none() | st.floats(0, 1e12))
arms: st.SearchStrategy[Arm] = st.sampled_from(["canary", "baseline"])
measures = st.dictionaries(st.sampled_from(["http", "latency"]), st.dictionaries(arms, increments))
scrapes = st.lists(st.builds(Scrape, st.just(0.0), measures), max_size=4)
shares = st.none() | st.floats(0, 1)
routed = st.none() | st.dictionaries(arms, counts)


def fold(blocks: list[Block]) -> Evidence:
    return reduce(Evidence.add, blocks, Evidence())


def total(evidence: Evidence, measure: str = "http", arm: Arm = "canary") -> float:
    tally = evidence.tally(measure, arm)
    return tally.total if tally else 0.0


@given(st.floats(0, 2e9), scrapes, shares, routed)
def test_a_block_survives_json_exactly(at: float, some: list[Scrape], share: Any, sent: Any) -> None:
    """Edges, counts and shares come back as they were, through text."""
    for judged in (None, {"http"}, set[str]()):
        block = Block.of(at, some, share, sent, judged)
        assert Block.from_data(json.loads(json.dumps(block.to_data()))) == block


def test_a_block_from_before_anything_was_watched_is_still_read() -> None:
    """Old journals have neither `watched` nor a gauge's `last`."""
    data = Block.of(15.0, [Scrape(15.0, {"http": {"canary": Increment(3.0, 1.0)}})]).to_data()
    del data["watched"]
    assert Block.from_data(data) == Block(15.0, {"http": {"canary": Increment(3.0, 1.0)}}, 1)


def test_what_is_watched_is_no_evidence() -> None:
    """It is kept beside: no tally, no flow, no bad request a user met, and alone it makes no scrape count."""
    noise = {"clicks": {"canary": Increment(9.0, 9.0)}, "memory": {"canary": Increment(0.0, last=5.0)}}
    scrapes = [Scrape(1.0, {"http": {"canary": Increment(3.0, 1.0)}, **noise}), Scrape(2.0, noise)]
    block = Block.of(15.0, scrapes, judged={"http"})
    assert (block.scrapes, block.bad_served, list(block.increments)) == (1, 1.0, ["http"])
    assert block.watched["clicks"]["canary"] == Increment(18.0, 18.0)
    assert block.watched["memory"]["canary"].last == 5.0
    assert list(Evidence().add(block).tallies) == ["http"]


def test_a_gauge_in_a_block_is_its_newest_value() -> None:
    """Never the sum of two looks; a scrape that missed it leaves the last one."""
    values = [Increment(0.0, last=5.0), Increment(0.0, last=7.0), Increment(0.0)]
    scrapes = [Scrape(at, {"memory": {"canary": value}}) for at, value in enumerate(values)]
    assert Block.of(15.0, scrapes).increments["memory"]["canary"] == Increment(0.0, last=7.0)


@given(st.lists(scrapes, max_size=6))
def test_the_tallies_do_not_depend_on_how_scrapes_are_split_into_blocks(ticks: list[list[Scrape]]) -> None:
    """One block of all scrapes, one a tick, or one a scrape: the same sums."""
    every = [scrape for tick in ticks for scrape in tick]
    by_tick = fold([Block.of(at, tick) for at, tick in enumerate(ticks)])
    one_by_one = fold([Block.of(at, [scrape]) for at, scrape in enumerate(every)])
    assert by_tick.tallies == one_by_one.tallies == fold([Block.of(0, every)]).tallies


@given(st.lists(st.tuples(scrapes, shares, routed), min_size=1, max_size=6))
def test_a_repeated_or_late_block_changes_nothing(ticks: list[tuple[list[Scrape], Any, Any]]) -> None:
    """A conductor that folds its journal twice over an overlap has the same evidence."""
    blocks = [Block.of(at, *tick) for at, tick in enumerate(ticks)]
    assert fold(blocks + blocks) == fold(blocks)
    assert fold(blocks).blocks == len(blocks)


def test_blocks_without_a_scrape_are_not_measured() -> None:
    """They count as blocks, and not as looked at."""
    evidence = fold([Block.of(1, []), Block.of(2, [Scrape(2, {})])])
    assert (evidence.blocks, evidence.measured, evidence.last_at) == (2, 1, 2)


def test_an_arm_that_never_matched_has_no_tally() -> None:
    """Absent is not zero."""
    evidence = fold([Block.of(1, [Scrape(1, {"http": {"baseline": Increment(5)}})])])
    assert evidence.tally("http", "canary") is None
    assert evidence.tally("latency", "canary") is None
    assert total(evidence, arm="baseline") == 5


def test_bad_served_counts_an_event_once() -> None:
    """A measure narrowed to features sees the same bad request again; the baseline's are not the canary's."""
    found = {
        "http": {"canary": Increment(100, 7), "baseline": Increment(900, 90)},
        "http on features": {"canary": Increment(10, 5)},
    }
    assert Block.of(1, [Scrape(1, found)]).bad_served == 7  # type: ignore[arg-type]
    assert Block.of(1, []).bad_served == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, 1e300])
@pytest.mark.parametrize("field", ["total", "bad", "bucket", "edge", "routed", "share", "at"])
def test_what_no_counter_or_share_can_have_is_a_failed_measurement(field: str, wrong: float) -> None:
    """Named, at the border: no arithmetic error later and no verdict on nonsense."""
    value = dict.fromkeys(("total", "bad", "bucket", "edge", "routed", "share", "at"), 1.0) | {field: wrong}
    increment = Increment(value["total"], value["bad"], {value["edge"]: value["bucket"]})
    with pytest.raises(MeasurementFailed, match="must lie between"):
        Block(value["at"], {"http": {"canary": increment}}, 1, value["share"], {"canary": value["routed"]})
