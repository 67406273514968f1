"""Journal lines → frames and sums: what is counted, once, in the stage in which it happened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.block import plus
from canary.ports import Entry, Increment
from canary.review.frame import AFTER, BESIDE
from canary.review.sums import hours, sums
from canary.rollout import events as e

from .conftest import START, frames


def line(at: float, total: float = 0.0, arm: str = "canary", **more: Any) -> Entry:
    """A sampled line of one measure."""
    found = {"total": total, "bad": 0.0, "buckets": [], **more}
    block = {"at": at, "increments": {"http": {arm: found}}, "scrapes": 1, "share": None, "routed": None}
    return Entry("r", 1, at, 1, "sampled", {"block": block})


def full(at: float, answer: str = "yes") -> Entry:
    shown: Any = {"api": e.Shown(answer=answer, observed=1.0, detail="")}  # type: ignore[arg-type]
    told = e.ExposureObserved(share=1.0, targets=shown).entry(at)
    return Entry("r", 1, told.at, 1, told.type, told.data)


@given(st.lists(st.tuples(st.floats(0.1, 1000), st.integers(0, 10**9)), max_size=30))
def test_every_block_counts_once_whatever_time_it_spans(blocks: list[tuple[float, int]]) -> None:
    """15 s or five minutes: the sums are the journal's, and the spans make up the whole time."""
    at, lines = 0.0, []
    for span, total in blocks:
        at += span
        lines.append(line(at, total))
    found = frames(lines)
    assert sum(part["total"].sum() for part in found.of("http", "canary")) == sum(total for _, total in blocks)
    assert found.covered(BESIDE) == pytest.approx(at)


def test_repeated_lines_and_a_clock_that_was_set_back_count_nothing_twice() -> None:
    """Only what is newer than everything before it adds to the sums."""
    found = frames([line(15, 5), line(15, 5), line(30, 7), line(10, 100), line(45, 1)])
    assert found.series["http", "canary"][0]["total"].tolist() == [5, 7, 1]
    assert found.blocks["span"].tolist() == [15, 15, 15]


def test_a_block_spans_from_the_soak_s_start_and_not_from_the_phase_before() -> None:
    """The time between two phases was not measured by anybody."""
    soak = Entry("r", 1, 1000.0, 1, "soak_started", {"phase": "canary", "due": 2800.0})
    assert frames([line(15), soak, line(1015)]).blocks["span"].tolist() == [15, 15]


def test_what_came_after_everybody_had_the_candidate_is_a_stage_of_its_own() -> None:
    """From the first time that every target showed it; a target that cannot tell has not."""
    found = sums(
        frames([line(15, 1), full(20, "cannot tell"), line(30, 2), full(40), line(55, 4), full(60), line(70, 8)])
    )
    assert found.of[(BESIDE, "http", "canary")].tally.total == 3
    assert found.of[(AFTER, "http", "canary")].tally.total == 12


def test_a_look_of_the_watch_counts_for_the_seconds_it_saw() -> None:
    """A source without a memory shows a glance of five minutes: the rest was not measured by anybody."""
    looked = [Entry("r", 1, e.at, 1, "watched", {**e.data, "seconds": 60.0}) for e in (line(400, 6), line(700, 7))]
    found = frames([line(30, 1), full(40), *looked])
    assert found.covered(AFTER) == 120
    assert sums(found).of[(AFTER, "http", "canary")].tally.total == 13


def test_the_two_arms_and_a_gauge_are_kept_apart_and_a_gauge_is_its_newest() -> None:
    """A gauge is never summed, and one that vanished keeps its last value."""
    lines = [line(15, 1), line(30, 2, arm="baseline"), line(45, last=7.0), line(60, last=5.0), line(75)]
    found = sums(frames(lines))
    assert found.of[(BESIDE, "http", "baseline")].tally == Increment(2.0)
    assert found.of[(BESIDE, "http", "canary")].tally == Increment(1.0, last=5.0)


def test_buckets_are_summed_by_edge() -> None:
    """Also when edges differ between blocks."""
    lines = [line(15, 3, buckets=[[0.1, 1], [0.2, 3]]), line(30, 4, buckets=[[0.2, 2], [0.5, 4]])]
    assert sums(frames(lines)).of[(BESIDE, "http", "canary")].tally == Increment(7.0, 0.0, {0.1: 1, 0.2: 5, 0.5: 4})


def test_hours_begin_with_the_first_block() -> None:
    """A block belongs to the hour of its middle: twelve of five minutes are one hour, not two."""
    found = hours(frames([line(300.0 * k, 1) for k in range(1, 25)]), BESIDE, "http")
    assert {hour: each.tallies["http"]["canary"].total for hour, each in found.items()} == {0: 12, 1: 12}


def test_a_journal_without_a_block_is_empty_frames() -> None:
    """A rollout that was refused, or is still in staging, can be looked at, too."""
    found = frames([full(5)])
    assert found.blocks.empty
    assert sums(found).of == {}
    assert hours(found, AFTER, "http") == {}


def test_a_block_that_holds_nothing_covers_nothing() -> None:
    """The metrics answered and matched nothing: nobody looked at that time."""
    empty = Entry("r", 1, 30.0, 1, "sampled", {"block": {"at": 30.0, "increments": {"http": {}}, "watched": {}}})
    found = frames([line(15, 1), empty, line(45, 1)])
    assert (len(found.blocks), found.covered(BESIDE)) == (3, 30)


def test_bad_events_are_the_worst_judged_measure_of_each_block() -> None:
    """Narrowed measures count the same events again, and what is only watched is judged by nobody."""

    def block(at: float, judged: dict[str, float], watched: dict[str, float]) -> Entry:
        both = (
            {n: {"canary": {"total": 9.0, "bad": b, "buckets": []}} for n, b in m.items()} for m in (judged, watched)
        )
        increments, seen = both
        return Entry("r", 1, at, 1, "sampled", {"block": {"at": at, "increments": increments, "watched": seen}})

    found = frames(
        [block(15, {"all": 3, "some": 2}, {"more": 9}), block(30, {"all": 0}, {}), block(45, {}, {"all": 5})]
    )
    assert found.bad_met == 3


EDGES = ((), (0.1, 0.2), (0.1, 0.2), (0.05, 0.2, 1.0))
counted = st.tuples(st.integers(0, 10**9), st.integers(0, 9), st.sampled_from(EDGES), st.none() | st.integers(0, 99))
blocks = st.tuples(
    st.sampled_from([15.0, 300.0, 5000.0]),
    st.dictionaries(st.tuples(st.sampled_from(["http", "api"]), st.sampled_from(["canary", "baseline"])), counted),
)


@given(st.lists(blocks, max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_sums_are_those_of_adding_block_by_block(told: list[Any], full_after: int, cut_after: int) -> None:
    """In each stage, up to any time and within the hours, whichever series and edges each block holds."""
    at, lines, expected = START, [], {}
    for number, (span, series) in enumerate(told):
        if number == full_after:
            lines.append(full(at))
        at += span
        increments: dict[str, Any] = {}
        for (measure, arm), (total, bad, edges, last) in series.items():
            gauge = {} if last is None else {"last": float(last)}
            found = Increment(total, bad, {edge: total * edge for edge in edges}, gauge.get("last"))
            data = {"total": total, "bad": bad, "buckets": [[*pair] for pair in found.buckets.items()], **gauge}
            increments.setdefault(measure, {})[arm] = data
            if number < cut_after:
                key = (AFTER if number >= full_after else BESIDE, measure, arm)
                expected[key] = plus(expected[key], found) if key in expected else found
        lines.append(Entry("r", 1, at, 1, "sampled", {"block": {"at": at, "increments": increments}}))
    cut = frames(lines).until(START + sum(span for span, _ in told[:cut_after]))
    shown = {key: each.tally for key, each in sums(cut).of.items()}
    assert {key: (t.total, t.bad) for key, t in shown.items()} == {key: (t.total, t.bad) for key, t in expected.items()}
    for key, tally in shown.items():
        assert tally.buckets == pytest.approx(expected[key].buckets)
        by_hour = [each.tallies[key[1]].get(key[2]) for each in hours(cut, key[0], key[1]).values()]
        assert sum(each.total for each in by_hour if each) == tally.total
