"""The literal judge: each rule at its word, at its floor, and on nonsense."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.evidence import Block, Evidence
from canary.judge.literal import LiteralJudge
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.model import (
    AnySeen,
    NoneSeen,
    QuantileAbove,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
    WorseThanBaseline,
)
from canary.ports import Arm, Increment

PASS, UNDECIDED, NO_DATA, FAIL = Outcome.PASS, Outcome.UNDECIDED, Outcome.NO_DATA, Outcome.FAIL
BELOW_1 = RateBelow("< 1%", "http", 0.01)
ABOVE_1 = RateAbove("> 1%", "http", 0.01)
P95_200 = QuantileBelow("p95 < 200ms", "latency", 0.95, 0.2)
OVER_200 = QuantileAbove("p95 > 200ms", "latency", 0.95, 0.2)
NO_ERRORS = NoneSeen("none", "http")
ANY_ERROR = AnySeen("any", "http")
SLOWER = WorseThanBaseline("> 20% over baseline", "latency", 0.2)


def evidence(canary: Increment | None = None, baseline: Increment | None = None) -> Evidence:
    """One block in which both measures saw the same."""
    arms: dict[Arm, Increment] = {}
    if canary is not None:
        arms["canary"] = canary
    if baseline is not None:
        arms["baseline"] = baseline
    return Evidence().add(Block(15.0, {"http": arms, "latency": arms}, 1, 0.1))


def judged(rule: Rule, canary: Increment | None = None, baseline: Increment | None = None) -> Verdict:
    verdict, _ = LiteralJudge().judge([rule], [], evidence(canary, baseline), traffic="http").verdicts
    return verdict


def slow(total: float, over: float, *, edge: float = 0.2) -> Increment:
    """`over` of `total` above the edge, all of them within 5 s."""
    return Increment(total, 0.0, {edge / 2: (total - over) / 2, edge: total - over, 5.0: total})


@pytest.mark.parametrize(
    ("total", "bad", "below", "above"),
    [
        (0, 0, NO_DATA, NO_DATA),
        (1, 0, UNDECIDED, UNDECIDED),
        (499, 4, UNDECIDED, UNDECIDED),
        (20, 5, FAIL, UNDECIDED),
        (20, 6, FAIL, FAIL),
        (500, 4, PASS, PASS),
        (500, 5, FAIL, PASS),
        (500, 6, FAIL, FAIL),
        (1000, 9, PASS, PASS),
        (1000, 10, FAIL, PASS),
        (1000, 11, FAIL, FAIL),
        (10**12, 10**10 - 1, PASS, PASS),
        (10**12, 10**10, FAIL, PASS),
        (10**12, 10**10 + 1, FAIL, FAIL),
        (0, 6, FAIL, FAIL),
        (0, 1, NO_DATA, NO_DATA),
    ],
)
def test_a_rate_is_held_against_its_limit(total: int, bad: int, below: Outcome, above: Outcome) -> None:
    """Floor max(100, 5/limit) = 500 for 1 %; FAIL as soon as the floor cannot save it; "<" and ">" differ at 1 %."""
    assert judged(BELOW_1, Increment(total, bad)).outcome is below
    assert judged(ABOVE_1, Increment(total, bad)).outcome is above


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_limit_is_meant_as_it_was_written(percent: int) -> None:
    """7 of 100 is not below 7 %: no rounding error of a float may turn the limit."""
    rule = RateBelow(f"< {percent}%", "http", percent / 100)
    assert judged(rule, Increment(1000, 10 * percent)).outcome is FAIL
    assert judged(rule, Increment(1000, 10 * percent - 1)).outcome is PASS


@given(st.integers(0, 5000), st.integers(0, 200), st.integers(1, 99))
def test_a_rate_verdict_follows_from_the_exact_share(total: int, bad: int, percent: int) -> None:
    """At the floor PASS below the limit and FAIL else; under it FAIL only when the floor cannot save it."""
    limit, floor = Fraction(percent, 100), max(100, math.ceil(500 / percent))
    outcome = judged(RateBelow("<", "http", percent / 100), Increment(total, bad)).outcome
    if total >= floor:
        assert outcome is (PASS if Fraction(bad, total) < limit else FAIL)
    elif total:
        assert outcome is (FAIL if bad >= limit * floor else UNDECIDED)


@pytest.mark.parametrize(
    ("total", "bad", "none", "any_"),
    [
        (0, 0, NO_DATA, NO_DATA),
        (1, 0, UNDECIDED, PASS),
        (299, 0, UNDECIDED, PASS),
        (300, 0, PASS, PASS),
        (10**12, 1, FAIL, FAIL),
        (0, 1, FAIL, FAIL),
    ],
)
def test_one_event_decides_a_literal(total: int, bad: int, none: Outcome, any_: Outcome) -> None:
    """None needs 300 clean opportunities, any one; an event without an opportunity is an event all the same."""
    assert judged(NO_ERRORS, Increment(total, bad)).outcome is none
    assert judged(ANY_ERROR, Increment(total, bad)).outcome is any_


CONFIDENT = RatioAbove("p20 > 85%", "latency", 0.2, 0.85, "share")
UNSURE = RatioBelow("p10 < 0.5", "latency", 0.1, 0.5, "share")


def unsure(total: float, low: float, edge: float) -> Increment:
    """`low` of `total` ratios at or below the edge."""
    return Increment(total, 0.0, {edge / 2: low / 2, edge: low, 1.0: total})


@pytest.mark.parametrize(("low", "confident"), [(0, PASS), (199, PASS), (200, FAIL), (1000, FAIL)])
def test_a_ratio_must_be_above_its_limit_in_all_but_the_quantile(low: int, confident: Outcome) -> None:
    """ "p20 > 85 %" is "above 85 % for 80 %": 200 of 1,000 at or below 85 % are too many."""
    verdict = judged(CONFIDENT, unsure(1000, low, 0.85))
    assert (verdict.outcome, verdict.unit, verdict.limit) == (confident, "share", 0.85)
    assert "at or below 85 %" in verdict.reason


@pytest.mark.parametrize(("low", "fires"), [(0, PASS), (100, PASS), (101, FAIL)])
def test_a_ratio_under_its_limit_in_more_than_the_quantile_fires(low: int, fires: Outcome) -> None:
    """ "p10 < 0.5" is "below 0.5 for more than 10 %": exactly 10 % is not more."""
    assert judged(UNSURE, unsure(1000, low, 0.5)).outcome is fires


def test_ratios_beside_the_limit_are_judged_only_where_the_edges_allow_it() -> None:
    """Between two edges nobody can tell; without an edge on the one side the rule can only pass, or only fail."""
    between = judged(CONFIDENT, Increment(1000, 0.0, {0.8: 100, 0.9: 300, 1.0: 1000}))
    assert between.outcome is UNDECIDED
    assert "no bucket edge: above 90 % counts as high, below 80 % as low" in between.reason
    assert judged(CONFIDENT, Increment(1000, 0.0, {0.8: 250, 0.9: 300, 1.0: 1000})).outcome is FAIL
    assert judged(CONFIDENT, Increment(1000, 0.0, {0.8: 100, 0.9: 150, 1.0: 1000})).outcome is PASS
    cannot_fail = judged(CONFIDENT, Increment(1000, 0.0, {0.9: 300, 1.0: 1000}))
    assert "no bucket edge lies below the limit of 85 %, so this rule cannot fail" in cannot_fail.reason
    cannot_pass = judged(CONFIDENT, Increment(1000, 0.0, {0.5: 100, 0.8: 150}))
    assert "no bucket edge reaches the limit of 85 %, so this rule cannot pass" in cannot_pass.reason


@pytest.mark.parametrize("rule", [BELOW_1, ABOVE_1, P95_200, OVER_200, NO_ERRORS, ANY_ERROR, SLOWER, CONFIDENT, UNSURE])
def test_an_absent_canary_is_no_data(rule: Rule) -> None:
    """However much the baseline has."""
    assert judged(rule, None, slow(10_000, 1)).outcome is NO_DATA
    assert judged(rule).outcome is NO_DATA


@pytest.mark.parametrize(
    ("total", "over", "below", "above"),
    [
        (99, 0, UNDECIDED, UNDECIDED),
        (99, 5, FAIL, UNDECIDED),
        (100, 4, PASS, PASS),
        (1000, 49, PASS, PASS),
        (1000, 50, FAIL, PASS),
        (1000, 51, FAIL, FAIL),
    ],
)
def test_a_quantile_at_an_edge_is_a_rate(total: int, over: int, below: Outcome, above: Outcome) -> None:
    """p95 < 200 ms is less than 5 % above 200 ms, with the floor of 5 %."""
    assert judged(P95_200, slow(total, over)).outcome is below
    assert judged(OVER_200, slow(total, over)).outcome is above


def test_a_limit_between_two_edges_fails_above_passes_below_and_is_undecided_between() -> None:
    """200 ms inside the bucket 150–300 ms; the reason says which edges were used."""
    outcomes = {
        FAIL: Increment(1000, 0, {0.15: 900, 0.3: 940}),
        PASS: Increment(1000, 0, {0.15: 960, 0.3: 990}),
        UNDECIDED: Increment(1000, 0, {0.15: 940, 0.3: 960}),
    }
    for outcome, seen in outcomes.items():
        verdict = judged(P95_200, seen)
        assert verdict.outcome is outcome
        assert "200 ms is no bucket edge: above 300 ms counts as slow, below 150 ms as fast" in verdict.reason


def test_a_limit_beyond_the_last_edge_cannot_fail_and_says_so() -> None:
    """All observations above the last edge may be within the limit, or not."""
    assert judged(P95_200, Increment(1000, 0, {0.1: 990})).outcome is PASS
    verdict = judged(P95_200, Increment(1000, 0, {0.1: 10}))
    assert verdict.outcome is UNDECIDED
    assert "no bucket edge reaches the limit of 200 ms, so this rule cannot fail" in verdict.reason
    assert verdict.value is None


def test_a_limit_below_the_first_edge_cannot_pass_and_says_so() -> None:
    """All observations up to the first edge may be above the limit, or not."""
    assert judged(P95_200, Increment(1000, 0, {0.5: 100})).outcome is FAIL
    verdict = judged(P95_200, Increment(1000, 0, {0.5: 1000}))
    assert verdict.outcome is UNDECIDED
    assert "no bucket edge lies below the limit of 200 ms, so this rule cannot pass" in verdict.reason


def test_a_histogram_without_buckets_decides_nothing() -> None:
    """Only _count was there."""
    assert judged(P95_200, Increment(1000)).outcome is UNDECIDED
    assert judged(SLOWER, Increment(1000), Increment(1000)).outcome is UNDECIDED


def test_the_value_shown_is_interpolated_as_in_prometheus() -> None:
    """histogram_quantile(0.95) of 900 at 100 ms and 1,000 at 200 ms is 150 ms."""
    verdict = judged(P95_200, Increment(1000, 0, {0.1: 900, 0.2: 1000}))
    assert verdict.value == pytest.approx(0.15)
    assert "≈ 150 ms" in verdict.reason


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (Increment(0, 0, {0.1: 990.0}), PASS),
        (Increment(990, 0, {0.1: 990.0, 0.2: 100.0}), PASS),
        (Increment(100, 0, {0.1: 50.0, 0.2: 1000.0}), FAIL),
        (Increment(40, 0, {0.05: 990.0, 0.1: 20.0, 0.2: 1000.0}), PASS),
    ],
)
def test_counts_that_do_not_fit_together_are_read_so_that_they_do(seen: Increment, outcome: Outcome) -> None:
    """More in a bucket than in the total, or less at a higher edge: the largest count so far is the truth."""
    assert judged(QuantileBelow("p95 < 100ms", "latency", 0.95, 0.1), seen).outcome is outcome


@pytest.mark.parametrize(
    ("canary", "baseline", "outcome"),
    [
        (slow(499, 0), slow(9000, 0), UNDECIDED),
        (slow(9000, 0), slow(499, 0), UNDECIDED),
        (slow(500, 0), slow(500, 0), PASS),
        (slow(500, 0), None, NO_DATA),
        (slow(1000, 100), slow(9000, 400), FAIL),
        (slow(1000, 0), slow(9000, 400), PASS),
        (slow(1000, 0, edge=0.3), slow(9000, 0), UNDECIDED),
        # p95: 125 ms and 115 ms, against 100 ms.
        (Increment(1000, 0, {0.1: 940, 0.2: 980}), Increment(1000, 0, {0.1: 950, 0.2: 1000}), FAIL),
        (Increment(1000, 0, {0.1: 944, 0.2: 984}), Increment(1000, 0, {0.1: 950, 0.2: 1000}), PASS),
    ],
)
def test_the_canary_is_compared_with_the_baseline(
    canary: Increment, baseline: Increment | None, outcome: Outcome
) -> None:
    """500 observations in both arms, the same buckets in both, then the ratio of the quantiles."""
    assert judged(SLOWER, canary, baseline).outcome is outcome


@pytest.mark.parametrize(
    ("canary", "baseline", "outcome"),
    [
        ({0.1: 100, 1.0: 500}, {0.1: 1000, 1.0: 1000}, FAIL),
        ({0.1: 100, 1.0: 500}, {0.1: 10, 1.0: 955}, UNDECIDED),
        ({0.1: 100, 1.0: 500}, {0.1: 10, 1.0: 100}, UNDECIDED),
        ({0.1: 100, 1.0: 1000}, {0.1: 10, 1.0: 100}, PASS),
    ],
)
def test_a_quantile_above_the_last_edge_is_only_known_to_be_above(
    canary: dict[float, float], baseline: dict[float, float], outcome: Outcome
) -> None:
    """FAIL when even the last edge is too slow, PASS when only the baseline is off the scale, else UNDECIDED."""
    assert judged(SLOWER, Increment(1000, 0, canary), Increment(1000, 0, baseline)).outcome is outcome


def test_a_higher_quantile_needs_more_observations() -> None:
    """25 of them beyond it: p99 needs 2,500."""
    p99 = WorseThanBaseline("p99 > 20% over baseline", "latency", 0.2, 0.99)
    assert judged(p99, slow(2499, 0), slow(9000, 0)).outcome is UNDECIDED
    assert judged(p99, slow(2500, 0), slow(9000, 0)).outcome is PASS


def test_reasons_are_sentences_with_the_numbers() -> None:
    """What a tired person reads."""
    told = {
        judged(BELOW_1, Increment(1000, 31)).reason: (
            "http 3.1 % (31 of 1,000 canary requests), not below the limit of 1 %"
        ),
        judged(BELOW_1, Increment(40, 0)).reason: (
            "http 0 % (0 of 40 canary requests) so far: too few to tell, the limit of 1 % needs 500"
        ),
        judged(BELOW_1).reason: "http: not one canary request was counted",
        judged(P95_200, slow(1000, 60)).reason: (
            "latency p95 ≈ 1 s: of 1,000 canary requests 6 % over 200 ms; that breaks p95 < 200 ms"
        ),
        judged(SLOWER, slow(1000, 0, edge=1.0), slow(9000, 0, edge=1.0)).reason: (
            "latency p95: ≈ 950 ms on the canary, ≈ 950 ms on the baseline: not more than 20 % slower"
        ),
    }
    assert list(told) == list(told.values())


def test_criteria_and_triggers_are_judged_in_order_and_the_guard_last() -> None:
    """The worst of them is the phase's."""
    phase = LiteralJudge().judge([BELOW_1], [ANY_ERROR], evidence(Increment(1000, 1)), traffic="http")
    assert [verdict.rule for verdict in phase.verdicts] == ["< 1%", "any", "starvation"]
    assert [verdict.outcome for verdict in phase.verdicts] == [PASS, FAIL, PASS]
    assert phase.outcome is FAIL
    assert phase.reason.startswith("http: 1 in 1,000 canary opportunities")


limits = st.sampled_from([1e-8, 0.001, 0.01, 0.07, 0.5, 0.999999])
quantiles = st.sampled_from([0.01, 0.5, 0.95, 0.99, 0.999999])
bounds = st.sampled_from([0.001, 0.1, 0.2, 0.25, 7.0])
rules = st.one_of(
    st.builds(RateBelow, st.just("<"), st.just("http"), limits),
    st.builds(RateAbove, st.just(">"), st.just("http"), limits),
    st.builds(QuantileBelow, st.just("p<"), st.just("latency"), quantiles, bounds),
    st.builds(QuantileAbove, st.just("p>"), st.just("latency"), quantiles, bounds),
    st.just(NO_ERRORS),
    st.just(ANY_ERROR),
    st.builds(WorseThanBaseline, st.just("over"), st.just("latency"), limits, quantiles),
)
counts = st.one_of(st.integers(0, 3), st.integers(0, 10**4), st.integers(0, 10**12), st.floats(0, 1e9))
increments = st.builds(Increment, counts, counts, st.dictionaries(st.sampled_from([0.1, 0.2, 0.5]), counts))
both: st.SearchStrategy[Arm] = st.sampled_from(["canary", "baseline"])
blocks = st.builds(
    Block,
    st.floats(0, 1e9),
    st.dictionaries(st.sampled_from(["http", "latency"]), st.dictionaries(both, increments)),
    st.integers(0, 3),
    st.none() | st.floats(0, 1),
    st.none() | st.dictionaries(both, counts),
)


@given(st.lists(rules, max_size=4), st.lists(blocks, max_size=6))
def test_arbitrary_blocks_get_a_verdict_and_no_pass_without_samples(asked: list[Rule], measured: list[Block]) -> None:
    """No arithmetic error, whatever was counted; every PASS has samples in every arm it compares; JSON keeps it."""
    found = reduce(Evidence.add, measured, Evidence())
    phase = LiteralJudge().judge(asked, [], found, traffic="http")
    assert len(phase.verdicts) == len(asked) + 1
    for rule, verdict in zip(asked, phase.verdicts, strict=False):
        needed: list[Arm] = ["canary", "baseline"] if isinstance(rule, WorseThanBaseline) else ["canary"]
        if verdict.outcome is PASS:
            tallies = [found.tally(verdict.measure, arm) for arm in needed]
            assert all(tally and (tally.total or any(tally.buckets.values())) for tally in tallies)
    assert PhaseVerdict.from_data(json.loads(json.dumps(phase.to_data()))) == phase
