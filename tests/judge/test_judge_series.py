"""Raw series → increments per scrape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import SelectorError
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Signal
from canary.ports import Increment, Scrape

ARMS = Arms(canary={"version": "new"}, baseline={"version": "old"})
ERRORS = Signal(counter="requests_total", bad={"status": "5.."})
CRASHES = Signal(counter="errors_total", of="views_total")


def counter(*values: float, name: str = "requests_total", start: float = 0.0, **labels: str) -> Series:
    """A series scraped every 15 s from `start`; of the canary unless the labels say otherwise."""
    samples = tuple((start + 15.0 * k, value) for k, value in enumerate(values))
    return Series(name, {"version": "new", **labels}, samples)


def read(
    *series: Series, signal: Signal = ERRORS, arms: Arms = ARMS, since: float = 0.0, until: float = math.inf
) -> list[Scrape]:
    return increments(series, {"it": signal}, arms, since, until)


def canary(scrapes: Sequence[Scrape]) -> list[tuple[float, float, float]]:
    """(at, total, bad) of the canary's increments."""
    found = [(scrape.at, scrape.signals["it"]["canary"]) for scrape in scrapes]
    return [(at, increment.total, increment.bad) for at, increment in found]


def test_increments_belong_to_the_later_scrape_and_since_is_excluded() -> None:
    """since < at ≤ until; the sample at `since` is the base."""
    found = read(counter(5, 7, 10, 20, status="200"), since=15.0, until=30.0)
    assert canary(found) == [(30.0, 3.0, 0.0)]


def test_the_base_is_the_last_sample_before_since() -> None:
    """A first increment inside the window spans back to the sample before it, however old."""
    found = read(counter(5, 7, 10, status="200"), since=20.0)
    assert canary(found) == [(30.0, 3.0, 0.0)]


def test_the_first_sample_of_an_unknown_target_adds_nothing() -> None:
    """Its value may be as old as the process; yet the arm is there."""
    assert canary(read(counter(900, 905, status="200", start=15.0))) == [(15.0, 0.0, 0.0), (30.0, 5.0, 0.0)]


def test_a_counter_that_falls_has_restarted() -> None:
    """The new value is the increment."""
    assert canary(read(counter(100, 110, 4, 6, status="200"))) == [(15.0, 10, 0), (30.0, 4, 0), (45.0, 2, 0)]


def test_the_first_5xx_of_a_known_arm_is_seen() -> None:
    """Trap: status="500" appears with value 1, born between two scrapes; a plain difference never sees it."""
    found = read(counter(10, 20, 30, status="200"), counter(1, status="500", start=30.0))
    assert canary(found) == [(15.0, 10, 0), (30.0, 11, 1)]


def test_the_first_5xx_of_a_known_instance_is_seen_and_that_of_a_new_one_is_not() -> None:
    """With an `instance` label, knowledge about one pod says nothing about another."""
    known = counter(10, 20, 30, status="200", instance="a")
    born = counter(3, status="500", instance="a", start=30.0)
    strange = counter(700, status="500", instance="b", start=30.0)
    assert canary(read(known, born, strange)) == [(15.0, 10, 0), (30.0, 13, 3)]


def test_a_series_outside_where_still_shows_that_the_target_was_known() -> None:
    """The first request ever to a feature is its first 500: the other routes' series prove the pod's age."""
    signal = ERRORS.model_copy(update={"where": {"route": "/queue"}})
    found = read(
        counter(10, 20, status="200", route="/"),
        counter(1, status="500", route="/queue", start=15.0),
        signal=signal,
    )
    assert canary(found) == [(15.0, 1, 1)]


def test_a_series_whose_first_sample_is_unusable_is_not_born() -> None:
    """NaN first means that the series existed: its next value is a base, not 5,000 new requests."""
    found = read(counter(10, 20, 30, status="200"), counter(math.nan, 5000, status="500", start=15.0))
    assert canary(found) == [(15.0, 10, 0), (30.0, 10, 0)]


def test_a_caller_can_say_that_a_series_began_at_zero() -> None:
    """A first sample of 0 at the earlier scrape makes the first real one count."""
    assert canary(read(counter(0, 7, status="500"))) == [(15.0, 7, 7)]


def test_the_first_script_error_is_seen_by_the_views_that_were_there_before() -> None:
    """A counter of bad events and the counter of opportunities are one signal: either makes the target known."""
    found = read(counter(50, 80, name="views_total"), counter(2, name="errors_total", start=15.0), signal=CRASHES)
    assert canary(found) == [(15.0, 30, 2)]


def test_a_counter_of_bad_events_is_divided_by_the_opportunities() -> None:
    """With `of`, bad is the counter's increment and total the other's."""
    found = read(counter(0, 300, name="views_total"), counter(1, 1, name="errors_total"), signal=CRASHES)
    assert canary(found) == [(15.0, 300, 0)]


def test_duplicate_late_and_impossible_samples_are_passed_over_and_counted() -> None:
    """Repeated and out-of-order times are dropped; NaN, infinities and negative values are skipped."""
    samples = ((0.0, 5.0), (15.0, 6.0), (15.0, 60.0), (10.0, 70.0), (30.0, math.nan), (45.0, math.inf))
    series = Series("requests_total", {"version": "new", "status": "200"}, (*samples, (60.0, -3.0), (75.0, 9.0)))
    assert canary(read(series)) == [(15.0, 1, 0), (75.0, 3, 0)]
    assert series.skipped == 3


def test_pods_scraped_together_are_summed_and_others_keep_their_own_times() -> None:
    """Each scrape groups equal times: nothing is shifted or interpolated."""
    found = read(
        counter(0, 5, instance="a", status="200"),
        counter(0, 7, instance="b", status="503"),
        counter(0, 9, instance="c", status="200", start=2.0),
        since=2.0,
    )
    assert canary(found) == [(15.0, 12, 7), (17.0, 9, 0)]


def test_arms_are_told_apart_and_an_arm_without_a_match_is_absent() -> None:
    """Series of neither arm belong to nobody."""
    stranger = counter(0, 100, version="older", status="200")
    (scrape,) = read(counter(0, 4, version="old", status="200"), stranger)
    assert scrape == Scrape(15.0, {"it": {"baseline": Increment(4.0)}})


def test_a_series_that_matches_both_arms_is_an_error() -> None:
    """Evidence for both arms is evidence for neither; the message says which series."""
    arms = Arms(canary={"version": "new"}, baseline={"region": "eu"})
    with pytest.raises(SelectorError, match=r"requests_total.*matches both arms"):
        read(counter(0, 1, region="eu"), arms=arms)


def test_a_missing_label_is_the_empty_string() -> None:
    """As in Prometheus, for arms and patterns alike; patterns match the whole value."""
    arms = Arms(canary={"track": "canary"}, baseline={"track": ""})
    signal = Signal(counter="requests_total", bad={"status": "5..|"})
    series = Series("requests_total", {}, ((0.0, 0.0), (15.0, 2.0)))
    longer = Series("requests_total", {"status": "5000"}, ((0.0, 0.0), (15.0, 3.0)))
    (scrape,) = increments([series, longer], {"it": signal}, arms, 0.0, 15.0)
    assert scrape.signals["it"] == {"baseline": Increment(5.0, 2.0)}


@pytest.mark.parametrize(("unit", "edge"), [("s", "0.2"), ("ms", "200.0")])
def test_a_histogram_has_edges_in_seconds_and_its_count_as_total(unit: str, edge: str) -> None:
    """+Inf and edges that are no numbers are left out."""
    signal = Signal.model_validate({"histogram": "latency", "unit": unit})
    found = read(
        counter(0, 8, name="latency_bucket", le=edge),
        counter(0, 9, name="latency_bucket", le="+Inf"),
        counter(0, 9, name="latency_bucket", le="soon"),
        counter(0, 9, name="latency_count"),
        counter(0, 1, name="latency_sum"),
        signal=signal,
    )
    assert found == [Scrape(15.0, {"it": {"canary": Increment(9.0, 0.0, {0.2: 8.0})}})]


def test_one_edge_written_in_two_ways_is_one_edge() -> None:
    """Pods with le="0.5" and le="0.50" are summed."""
    signal = Signal(histogram="latency")
    found = read(
        counter(0, 1, name="latency_bucket", le="0.5"),
        counter(0, 2, name="latency_bucket", le="0.50"),
        signal=signal,
    )
    assert found[0].signals["it"]["canary"].buckets == {0.5: 3.0}


def test_nothing_that_matches_is_no_scrape() -> None:
    """An empty answer is no evidence, not zeros."""
    assert read(counter(0, 1, name="other_total")) == []


growth = st.lists(st.integers(0, 50), min_size=1, max_size=12)


@given(growth, st.integers(0, 11), st.data())
def test_the_sum_of_increments_is_what_was_counted(steps: list[int], restart: int, data: st.DataObject) -> None:
    """However a read is cut into windows, and wherever the counter restarts, nothing is lost or counted twice."""
    values, total = [0.0], 0.0
    for k, step in enumerate(steps):
        total = step if k == restart else total + step
        values.append(float(total))
    # A restart is visible only as a fall.
    expected = sum(b - a if b >= a else b for a, b in pairwise(values))
    series, end = counter(*values, status="500"), 15.0 * len(steps)
    cut = data.draw(st.floats(0, end))
    parts = canary(read(series, until=cut)) + canary(read(series, since=cut))
    assert parts == canary(read(series))
    assert sum(bad for _, _, bad in parts) == expected


MEMORY = Signal(gauge="memory_bytes")


def gauge(*values: float, start: float = 0.0, **labels: str) -> Series:
    """A gauge of the canary, every 15 s from `start`."""
    return counter(*values, name="memory_bytes", start=start, **labels)


def values(scrapes: Sequence[Scrape]) -> list[tuple[float, float | None]]:
    """(at, last) of the canary."""
    return [(scrape.at, scrape.signals["it"]["canary"].last) for scrape in scrapes]


def test_a_gauge_has_its_value_and_no_increment() -> None:
    """It may fall, its first sample counts, and nothing is added to any total."""
    found = read(gauge(100, 70, 90), signal=MEMORY, since=-1.0)
    assert values(found) == [(0.0, 100), (15.0, 70), (30.0, 90)]
    assert all(scrape.signals["it"]["canary"].total == 0 for scrape in found)


def test_a_gauge_is_summed_over_instances_that_are_scraped_at_different_times() -> None:
    """At each look every instance counts with its newest value; one that has gone is forgotten after two minutes."""
    one, other = gauge(*[10] * 11, instance="a"), gauge(1, 2, start=5.0, instance="b")
    found = dict(values(read(one, other, signal=MEMORY, since=0.0)))
    assert (found[5.0], found[15.0], found[20.0], found[135.0], found[150.0]) == (11, 11, 12, 12, 10)


def test_a_gauge_passes_over_what_is_no_value() -> None:
    """NaN, infinities and negative numbers; and series that `where` leaves out."""
    found = read(gauge(5, math.nan, -1, math.inf, 6), signal=MEMORY, since=-1.0)
    assert values(found) == [(0.0, 5), (60.0, 6)]
    picked = Signal(gauge="memory_bytes", where={"kind": "heap"})
    assert values(read(gauge(5, kind="heap"), gauge(7, kind="stack"), signal=picked, since=-1.0)) == [(0.0, 5)]


def test_a_plain_counter_has_a_total_and_nothing_bad() -> None:
    """A frequency: how often, without saying what would be bad."""
    plain = Signal(counter="requests_total")
    assert canary(read(counter(5, 9, status="500"), signal=plain)) == [(15.0, 4.0, 0.0)]


def test_the_edges_of_ratios_stay_as_they_are() -> None:
    """They are 0–1, no milliseconds."""
    ratio = Signal(histogram="confidence", unit="ratio")
    found = read(
        counter(0, 4, name="confidence_bucket", le="0.5"), counter(0, 9, name="confidence_count"), signal=ratio
    )
    assert found[0].signals["it"]["canary"] == Increment(9.0, 0.0, {0.5: 4.0})
