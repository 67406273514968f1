"""What a backtest finds: rates with their limits, harm that was put in, and the margin that a service needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from canary.judge.backtest.chance import Rate, needed
from canary.judge.backtest.found import PhaseFound
from canary.judge.backtest.harm import harmed, moves, sample
from canary.judge.backtest.history import History, Measured, Noted
from canary.judge.backtest.paths import Span
from canary.judge.backtest.run import backtested
from canary.judge.backtest.same import Judged
from canary.judge.backtest.windows import Windows
from canary.judge.terms import Terms
from canary.plan.rules import criterion, trigger

BLOCKS, WORSE = 40, {"errors": "worse than baseline"}


def service(spread: float = 0.0, windows: int = 150, pods: int = 4, bad: float = 0.02) -> History:
    """Pods with 50 requests a block. spread: by how much the first one's share of bad ones is larger."""
    draw = np.random.default_rng(5)
    n = draw.poisson(50, (pods, windows * BLOCKS))
    shares = np.array([bad * (1 + spread * (pod == 0)) for pod in range(pods)])[:, None]
    values = np.stack([n, draw.binomial(n, shares)], axis=-1).astype(float)
    under = np.cumsum(draw.multinomial(n, [0.5, 0.3, 0.15, 0.05]), axis=-1)[..., :-1]
    times = np.concatenate([values[..., :1], np.zeros((*n.shape, 1)), under], axis=-1)
    measures = {"errors": Measured((), values), "times": Measured((0.1, 0.2, 0.5), times)}
    return History(0.0, tuple(f"pod-{p}" for p in range(pods)), np.ones(n.shape, bool), measures, Noted())


def found(history: History, *rules: Any, alpha: float = 0.01, seed: int = 1) -> PhaseFound:
    judged = Judged("canary", rules, Terms(alpha=alpha, horizon=BLOCKS), Span(0, BLOCKS))
    return backtested(judged, history, seed)


def at_most(hits: int, of: int, share: float) -> float:
    """P(no more than `hits` of `of`), by its definition."""
    return sum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(hits + 1))


@given(st.integers(1, 400), st.floats(0, 1))
def test_limits_are_those_of_clopper_and_pearson(of: int, share: float) -> None:
    """At either limit what was seen, or more extreme, has a chance of half a percent."""
    hits = round(share * of)
    rate = Rate.seen(hits, of)
    assert rate.low == 0.0 if not hits else 1 - at_most(hits - 1, of, rate.low) == pytest.approx(0.005, rel=1e-4)
    assert rate.high == 1.0 if hits == of else at_most(hits, of, rate.high) == pytest.approx(0.005, rel=1e-4)


def test_of_nothing_everything_is_possible() -> None:
    """No row proves nothing; `needed` is how many clean ones do."""
    assert Rate.seen(0, 0).high == 1.0
    assert Rate.seen(0, needed(0.01)).high <= 0.01 < Rate.seen(0, needed(0.01) - 1).high


def test_a_healthy_service_passes_and_needs_no_margin() -> None:
    """600 comparisons of pods that do not differ."""
    phase = found(service(), trigger(WORSE))
    assert phase.passes
    assert phase.falsely is not None
    assert phase.falsely.of == 600
    assert phase.margin is not None
    assert phase.margin.margin == 0.0
    assert sum(rate.of for rate in phase.pods.values()) == sum(rate.of for rate in phase.months.values()) == 600


def test_too_short_a_past_cannot_pass() -> None:
    """Not one false rollback in 40 comparisons: their share may still be 12 %."""
    phase = found(service(windows=10), trigger(WORSE))
    assert phase.falsely is not None
    assert phase.falsely.hits == 0
    assert not phase.passes


def test_where_a_pod_is_worse_by_itself_the_margin_that_it_takes_is_found() -> None:
    """With it the backtest passes, with 5 % less it does not; the line for the plan is told."""
    history = service(spread=1.0)
    phase = found(history, trigger(WORSE))
    assert not phase.passes
    assert phase.pods["pod-0"].hits > 10 * max(phase.pods[pod].hits for pod in ("pod-1", "pod-2", "pod-3"))
    assert phase.margin is not None
    needs = phase.margin.margin
    assert needs is not None
    assert 0 < needs <= 1
    assert phase.margin.lines == (f'{{errors: "worse than baseline", margin: {needs:.0%}}}',)
    assert found(history, trigger({**WORSE, "margin": f"{needs:.0%}"})).passes
    assert not found(history, trigger({**WORSE, "margin": f"{needs - 0.05:.0%}"})).passes


def test_the_line_for_the_plan_keeps_what_stood_beside_the_rule() -> None:
    """A plan that holds the line is read as the same rule with the margin."""
    history = service(spread=1.0)
    measures = {"errors on a, b": history.measures["errors"]}
    rule = trigger({**WORSE, "on": ["a", "b"], "weight": 2, "profile": "swift"})
    margin = found(replace(history, measures=measures), rule).margin
    assert margin is not None
    assert margin.margin
    (line,) = margin.lines
    assert trigger(YAML(typ="safe").load(line)) == replace(rule, how=replace(rule.how, margin=margin.margin))


def test_a_margin_larger_than_needed_is_told() -> None:
    """The smallest is found from above, too."""
    history = service(spread=1.0)
    smallest = found(history, trigger(WORSE)).margin
    written = found(history, trigger({**WORSE, "margin": "100%"}))
    assert written.passes
    assert written.margin == smallest


def test_no_margin_helps_against_a_limit_that_the_service_breaks_itself() -> None:
    """The limit is what is wrong, and it is said so."""
    phase = found(service(bad=0.1), criterion({"errors": "< 1%"}), trigger(WORSE))
    assert not phase.passes
    assert phase.margin is not None
    assert phase.margin.margin is None


def test_more_harm_is_seen_more_often_and_sooner() -> None:
    """Rising with the size, from each onset; what comes later costs less."""
    (rule,) = found(service(), trigger(WORSE)).rules
    assert [one.onset for one in rule.detected] == [0.0] * 4
    shares = [one.rate.share for one in rule.detected]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert rule.detected[-1].seconds is not None
    assert 15 <= rule.detected[-1].seconds <= 180
    assert rule.detected[-1].bad > 10


def test_the_same_seed_finds_the_same() -> None:
    """Another draws other windows and other requests."""
    rules = [trigger(WORSE), criterion({"times": "p95 < 500ms"})]
    once, again, other = (found(service(windows=20), *rules, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_what_the_past_does_not_hold_is_untested_and_does_not_pass() -> None:
    """What measured nothing cannot pass; a literal rule is only told."""
    phase = found(service(), trigger(WORSE), criterion({"nothing": "< 1%"}))
    assert not phase.passes
    assert [rule.why for rule in phase.rules] == ["", "the history has no measure 'nothing'; it has: errors, times"]
    assert found(service(), trigger(WORSE), trigger({"nothing": "any"})).passes


def test_a_literal_rule_is_told_and_not_held_against_the_plan() -> None:
    """ "Any 5xx" fires nearly always on a healthy service."""
    phase = found(service(), trigger({"errors": "any"}), trigger(WORSE))
    assert phase.rules[0].falsely is not None
    assert phase.rules[0].falsely.share == 1.0
    assert phase.passes


@pytest.mark.parametrize("times", [1.5, 2.0, 5.0, 10.0])
def test_harm_makes_so_many_times_as_many_requests_bad(times: float) -> None:
    """On average, from the onset on, of the pseudo-canary alone; in a histogram beyond every edge."""
    history = service()
    (batch, *_) = Windows.of_length(history, BLOCKS).batches(history)
    for measure, past in history.measures.items():
        hurt = harmed(batch, measure, past, times, 10, np.random.default_rng(1))
        before, after = batch.counts[measure], hurt.counts[measure]
        assert (after[:, 1] == before[:, 1]).all()
        assert (after[:, :, :10] == before[:, :, :10]).all()
        assert (after[0] == before[0]).all()
        total = before[0, 0, 10:].sum()
        for place in range(2, len(before)) if past.edges else [1]:
            was, now = (counts[place, 0, 10:].sum() / total for counts in (before, after))
            was, now = (1 - was, 1 - now) if past.edges else (was, now)
            assert now == pytest.approx(min(1.0, times * was), rel=0.02)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.floats(1, 20))
def test_requests_only_get_worse_and_none_is_lost(weights: list[float], times: float) -> None:
    """Every row of chances sums to 1, and nobody moves to a better bin."""
    spread = np.array(weights) / sum(weights)
    chances = moves(spread, times)
    assert chances.sum(1) == pytest.approx(np.ones(len(spread)))
    assert np.tril(chances, -1).max() < 1e-9
    tail = np.cumsum(spread[::-1])[::-1]
    harmed_tail = np.cumsum((spread @ chances)[::-1])[::-1]
    assert harmed_tail[1:] == pytest.approx(np.minimum(1.0, times * tail[1:]))


def test_a_sample_is_drawn_without_repetition() -> None:
    """At most as many as asked for, in their order."""
    windows = Windows.of_length(service(), BLOCKS)
    drawn = sample(windows, np.random.default_rng(3), 50)
    pairs = list(zip(drawn.starts.tolist(), drawn.pods.tolist(), strict=True))
    assert len(set(pairs)) == 50
    assert pairs == sorted(pairs)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (criterion({"times": "< 1%"}), "the history has no bad events (column bad) for 'times'"),
        (criterion({"errors": "p95 < 200ms"}), "the history has no buckets (columns le_…) for 'errors'"),
    ],
)
def test_columns_that_a_rule_needs_must_be_there(rule: Any, why: str) -> None:
    """Without them nothing could ever be seen, which must not look like "all is well"."""
    history = service()
    times = Measured(history.measures["times"].edges, history.measures["times"].values, says_bad=False)
    phase = found(replace(history, measures={**history.measures, "times": times}), rule)
    assert phase.rules[0].why == why
    assert not phase.passes


def test_a_ready_made_number_is_untested() -> None:
    """No pod has a part of it."""
    rule = trigger({"errors": "worse than baseline"})
    judged = Judged("canary", (rule,), Terms(windows={"errors": 5.0}), Span(0, BLOCKS))
    phase = backtested(judged, service(), 1)
    assert "ready-made number" in phase.rules[0].why
    assert phase.falsely is None
    assert not phase.passes
