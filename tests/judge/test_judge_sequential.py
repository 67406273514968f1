"""The judge of a rollout: what it says, when it may say it, and that nothing it is fed can make it say more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.judge.block import Block
from canary.judge.evidence import Evidence
from canary.judge.sequential import SequentialJudge
from canary.judge.terms import Settle, Terms
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.model import Rule
from canary.plan.rules import criterion, trigger
from canary.ports import Increment

EDGES = (0.05, 0.1, 0.2, 0.5)


def rule(text: str, measure: str = "errors", **beside: Any) -> Rule:
    read = criterion if text.startswith(("<", "none", "no worse")) or " < " in text else trigger
    return read({measure: text, **beside})


def counts(n: float, bad: float, other_n: float, other_bad: float) -> dict[str, Any]:
    return {"errors": {"canary": Increment(n, bad), "baseline": Increment(other_n, other_bad)}}


def slow(n: float, above: float) -> Increment:
    """Half within 50 ms, the rest within 100 ms but for what is above 200 ms."""
    return Increment(n, 0.0, {0.05: (n - above) / 2, 0.1: n - above, 0.2: n - above, 0.5: n})


def block(number: int, increments: dict[str, Any], scrapes: int = 1) -> Block:
    return Block((number + 1) * 15.0, increments, scrapes, 0.1)


def evidence(found: Sequence[dict[str, Any]]) -> Evidence:
    return reduce(Evidence.add, (block(number, each) for number, each in enumerate(found)), Evidence())


def judged(rules: Sequence[Rule], found: Evidence, **terms: Any) -> PhaseVerdict:
    return SequentialJudge(Terms(**terms)).judge(rules, [], found, traffic="errors")


def said(rule: Rule, found: Sequence[dict[str, Any]], **terms: Any) -> Verdict:
    return judged([rule], evidence(found), **terms).verdicts[0]


def drawn(ratio: float, blocks: int, seed: int = 1, rate: float = 0.01) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        counts(150, float(draw.binomial(150, min(rate * ratio, 1))), 1350, float(draw.binomial(1350, rate)))
        for _ in range(blocks)
    ]


@pytest.mark.parametrize(
    ("text", "ratio", "outcome"),
    [
        ("< 1%", 0.1, Outcome.PASS),
        ("< 1%", 5.0, Outcome.FAIL),
        ("< 1%", 1.0, Outcome.UNDECIDED),
        ("> 5%", 1.0, Outcome.PASS),
        ("> 5%", 20.0, Outcome.FAIL),
        ("no worse than baseline by 100%", 1.0, Outcome.PASS),
        ("no worse than baseline by 100%", 8.0, Outcome.FAIL),
        ("no worse than baseline by 100%", 2.0, Outcome.UNDECIDED),
        ("worse than baseline", 1.0, Outcome.PASS),
        ("worse than baseline", 4.0, Outcome.FAIL),
        ("> 100% over baseline", 1.8, Outcome.PASS),
    ],
)
def test_half_an_hour_of_a_canary(text: str, ratio: float, outcome: Outcome) -> None:
    """10 canary requests a second beside 90, 1 % of the baseline's are bad."""
    verdict = said(rule(text), drawn(ratio, 120))
    assert verdict.outcome is outcome
    assert verdict.proof is not None
    assert text in verdict.reason


@pytest.mark.parametrize("profile", ["steady", "swift", "independent"])
def test_every_profile_sees_harm(profile: str) -> None:
    """Five times as bad, a quarter of an hour."""
    assert said(rule("worse than baseline", profile=profile), drawn(5.0, 60)).outcome is Outcome.FAIL


def test_a_margin_lets_so_much_more_pass() -> None:
    """Three times as bad, and a margin of 300 %."""
    harmful = drawn(3.0, 100)
    assert said(rule("worse than baseline"), harmful).outcome is Outcome.FAIL
    assert said(rule("worse than baseline", margin="100%"), drawn(1.6, 100)).outcome is Outcome.PASS


def test_a_literal_rule_is_taken_at_its_word() -> None:
    """7 of 600 are above 1 %, and no more is asked."""
    found = [counts(600, 7, 5400, 2)]
    assert said(rule("> 1%", profile="literal"), found).outcome is Outcome.FAIL
    assert said(rule("> 1%"), found).outcome is Outcome.PASS


@pytest.mark.parametrize(("above", "outcome"), [(0, Outcome.PASS), (60, Outcome.FAIL), (7.5, Outcome.UNDECIDED)])
def test_a_quantile_is_judged_at_its_edge(above: float, outcome: Outcome) -> None:
    """p95 < 200 ms: 5 % of 150 are 7.5."""
    found = [{**counts(150, 0, 1350, 0), "latency": {"canary": slow(150, above)}} for _ in range(20)]
    assert said(rule("p95 < 200ms", "latency"), found).outcome is outcome


def test_a_limit_between_edges_says_where_it_was_judged() -> None:
    """A limit of 150 ms: what lies above 200 ms breaks it, what lies below 100 ms keeps it."""
    found = [{**counts(150, 0, 1350, 0), "latency": {"canary": slow(150, 0)}} for _ in range(20)]
    verdict = said(rule("p95 < 150ms", "latency"), found)
    assert verdict.outcome is Outcome.PASS
    assert "150 ms is no bucket edge; judged at 100 ms and 200 ms" in verdict.reason


@pytest.mark.parametrize(("above", "outcome"), [(3, Outcome.PASS), (60, Outcome.FAIL)])
def test_latency_is_compared_at_edges_learnt_from_the_baseline(above: float, outcome: Outcome) -> None:
    """The first 500 requests of the baseline choose them and are not judged."""
    found = [
        {**counts(150, 0, 1350, 0), "latency": {"canary": slow(150, above), "baseline": slow(1350, 27)}}
        for _ in range(60)
    ]
    verdict = said(rule("> 20% over baseline", "latency"), found)
    assert verdict.outcome is outcome
    assert "compared above" in verdict.reason


def test_a_trigger_that_could_never_fire_is_no_pass() -> None:
    """Every request is beyond the last edge: nothing can be told."""
    beyond = Increment(150, 0.0, dict.fromkeys(EDGES, 0.0))
    found = [{**counts(150, 0, 1350, 0), "latency": {"canary": beyond, "baseline": beyond}} for _ in range(20)]
    for text in ("> 20% over baseline", "p95 > 1s"):
        assert said(rule(text, "latency"), found).outcome is Outcome.UNDECIDED


def test_a_ready_made_number_is_compared_window_by_window() -> None:
    """Five minutes each: six windows in half an hour can double six times, and that is too little."""

    def found(blocks: int) -> list[dict[str, Any]]:
        pair = {"canary": Increment(0.0, last=0.3), "baseline": Increment(0.0, last=0.1)}
        return [{**counts(150, 0, 1350, 0), "p95": pair} for _ in range(blocks)]

    worse = rule("> 20% over baseline", "p95")
    half_an_hour = said(worse, found(120), windows={"p95": 5.0})
    assert half_an_hour.outcome is Outcome.PASS
    assert "beyond the limit in 6 of 6 windows" in half_an_hour.reason or "7 of 7" in half_an_hour.reason
    assert said(worse, found(120), windows={"p95": 1.0}).outcome is Outcome.FAIL


def test_several_rules_that_lean_the_same_way_fail_together() -> None:
    """None reaches its own part of α; their sum does, and no single one is blamed."""
    rules = [rule(f"> {limit}%") for limit in (1, 1.01, 1.02, 1.03)]
    found: list[dict[str, Any]] = []
    while (verdict := judged(rules, evidence([*found, counts(150, 6, 1350, 13)]))).outcome is not Outcome.FAIL:
        found.append(counts(150, 6, 1350, 13))
    failed = [each for each in verdict.verdicts if each.outcome is Outcome.FAIL]
    assert [each.rule for each in failed] == ["all rules together"]
    assert "no rule alone" in failed[0].reason


def test_weights_part_what_is_risked() -> None:
    """A rule with nearly all of the weight decides about as if it were alone."""
    alone = said(rule("< 1%"), drawn(5.0, 30)).proof
    verdicts = judged([rule("< 1%", weight=99), rule("> 50%")], evidence(drawn(5.0, 30))).verdicts
    assert alone is not None
    assert verdicts[0].proof is not None
    assert verdicts[1].proof is not None
    assert verdicts[0].proof.needed_harm == pytest.approx(alone.needed_harm * 100 / 99)
    assert verdicts[1].proof.needed_harm == pytest.approx(alone.needed_harm * 100)


def test_a_warm_up_is_no_evidence_and_has_a_limit_of_its_own() -> None:
    """Two bad minutes at the start fail an unsettled canary, pass a settled one, and not when nearly all is bad."""
    warm = [counts(150, 30, 1350, 3)] * 8 + [counts(150, 0, 1350, 3)] * 60
    settle = Settle(120.0, 0.5)
    assert said(rule("< 1%"), warm).outcome is Outcome.FAIL
    assert said(rule("< 1%"), warm, settle=settle).outcome is Outcome.PASS
    hot = [counts(150, 120, 1350, 3)] * 8
    verdicts = judged([rule("< 1%")], evidence(hot), settle=settle).verdicts
    assert [each.rule for each in verdicts if each.outcome is Outcome.FAIL] == ["settle"]


def test_evidence_goes_on_through_the_next_phase_and_passes_must_be_shown_anew() -> None:
    """What was seen at 10 % still counts against the canary at 50 %."""
    bad = evidence(drawn(3.0, 14, rate=0.004))
    judge = SequentialJudge()
    assert judge.judge([rule("worse than baseline")], [], bad, traffic="errors").outcome is not Outcome.FAIL
    more = reduce(
        Evidence.add, (block(100 + n, each) for n, each in enumerate(drawn(3.0, 14, 2, 0.004))), bad.next_phase()
    )
    fresh = reduce(Evidence.add, (block(100 + n, each) for n, each in enumerate(drawn(3.0, 14, 2, 0.004))), Evidence())
    carried, alone = (said_of(found) for found in (more, fresh))
    assert carried.proof is not None
    assert alone.proof is not None
    assert carried.proof.harm > alone.proof.harm


def test_the_warm_up_of_an_earlier_phase_stays_out() -> None:
    """By that phase's own settle, whatever the present one says."""
    bad, good = counts(150, 60, 1350, 3), counts(150, 1, 1350, 9)
    later = (block(100 + n, good) for n in range(20))
    found = reduce(Evidence.add, later, evidence([bad] * 8 + [good] * 20).next_phase())
    assert judged([rule("< 1%")], found).outcome is Outcome.FAIL
    assert judged([rule("< 1%")], found, earlier=(Terms(settle=Settle(120.0)),)).outcome is not Outcome.FAIL


def said_of(found: Evidence) -> Verdict:
    return judged([rule("worse than baseline")], found).verdicts[0]


RULES = [
    rule("< 1%"),
    rule("> 5%"),
    rule("none"),
    rule("any"),
    rule("worse than baseline"),
    rule("no worse than baseline by 50%", profile="swift"),
    rule("worse than baseline", profile="independent"),
    rule("p95 < 200ms", "latency"),
    rule("p95 > 150ms", "latency"),
    rule("> 20% over baseline", "latency"),
    rule("no worse than baseline by 20%", "latency"),
]
numbers = st.one_of(st.just(0.0), st.integers(0, 200).map(float), st.sampled_from([1e6, 1e12]))
arms = st.builds(lambda n, part: Increment(n, float(int(n * part))), numbers, st.sampled_from([0.0, 0.001, 0.1, 1.0]))
timed = st.builds(
    lambda n, parts: Increment(n, 0.0, dict(zip(EDGES, sorted(n * part for part in parts), strict=True))),
    numbers,
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
streams = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "errors": st.fixed_dictionaries({}, optional={"canary": arms, "baseline": arms}),
            "latency": st.fixed_dictionaries({}, optional={"canary": timed, "baseline": timed}),
        },
    ),
    max_size=14,
)


@given(stream=streams, asked=st.sets(st.integers(0, 13)))
@settings(max_examples=80, deadline=None)
def test_verdicts_do_not_depend_on_when_the_judge_ran(stream: list[dict[str, Any]], asked: set[int]) -> None:
    """One that is asked at some blocks, one at the end only, one that begins anew from the journal: all the same."""
    peeking, found = SequentialJudge(), Evidence()
    for number, each in enumerate(stream):
        found = found.add(block(number, each))
        if number in asked:
            peeking.judge(RULES, [], found, traffic="errors")
    again = reduce(Evidence.add, (Block.from_data(each.to_data()) for each in found.trail), Evidence())
    last = [judge.judge(RULES, [], e, traffic="errors") for judge, e in ((peeking, found), (SequentialJudge(), again))]
    assert last[0] == last[1]
    assert PhaseVerdict.from_data(last[0].to_data()) == last[0]


@given(stream=streams)
@settings(max_examples=80, deadline=None)
def test_nothing_passes_without_samples_in_every_arm_it_needs(stream: list[dict[str, Any]]) -> None:
    """Whatever was measured; and no number that is none, no exception (warnings are errors here)."""
    verdicts = judged(RULES, evidence(stream)).verdicts
    for verdict in verdicts[: len(RULES)]:
        compared = "baseline" in verdict.rule
        totals = {
            arm: sum(each.get(verdict.measure, {}).get(arm, Increment(0.0)).total for each in stream)
            for arm in ("canary", *(["baseline"] if compared else []))
        }
        if verdict.outcome is Outcome.PASS:
            assert all(totals.values())


def test_one_tick_is_cheap_enough_to_be_asked_always() -> None:
    """The judge folds only what is new: asked again about the same evidence it folds nothing."""
    judge, found = SequentialJudge(), evidence(drawn(1.0, 50))
    first = judge.judge(RULES[:6], [], found, traffic="errors")
    assert judge.judge(RULES[:6], [], found, traffic="errors") == first
