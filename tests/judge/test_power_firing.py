"""Rules taken at their word: how often they end a healthy release, and what to write instead."""

from __future__ import annotations

import math

import pytest

from canary.judge.power.cell import Setting
from canary.judge.power.facts import Known
from canary.judge.power.firing import clean_needed, firing, honest
from canary.judge.power.latency import LogNormal
from canary.judge.terms import Terms
from canary.plan.model import AnySeen, NoneSeen, Rule
from canary.plan.rules import criterion, trigger

HALF_AN_HOUR = Setting(Terms(horizon=120), 0.1, 120, 1.0)
FIVE_MINUTES = Setting(Terms(horizon=20), 0.1, 20, 1.0)
NONE, ANY = criterion({"errors": "none"}), trigger({"errors": "any"})


@pytest.mark.parametrize("rule", [NONE, ANY, trigger({"errors": "crash"})])
def test_one_event_is_expected_by_the_traffic(rule: Rule) -> None:
    """1 − exp(−λ) with λ the canary's bad events in the phase: 10 rps × 10 % × 30 min × 0.1 % = 1.8."""
    found = firing(rule, HALF_AN_HOUR, Known("rate", 10.0, 0.001))
    assert found == pytest.approx(1 - math.exp(-1.8))
    assert firing(rule, HALF_AN_HOUR, Known("rate", 10.0, 0.0)) == 0.0


def test_plan_time_that_runs_faster_meets_fewer_events() -> None:
    """A demonstration of half a minute sees a sixtieth."""
    fast = Setting(Terms(pace=60.0, horizon=120), 0.1, 120, 1.0)
    assert firing(ANY, fast, Known("rate", 10.0, 0.001)) == pytest.approx(1 - math.exp(-1.8 / 60))


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.002, 0.0, 0.02), (0.008, 0.05, 0.6), (0.02, 0.99, 1.0)], ids=["far", "near", "over"]
)
def test_a_literal_limit_is_looked_at_block_by_block(rate: float, least: float, most: float) -> None:
    """The nearer today's rate is to the limit, the more often a look by chance breaks it."""
    rule = criterion({"errors": "< 1%", "profile": "literal"})
    found = firing(rule, FIVE_MINUTES, Known("rate", 50.0, rate))
    assert isinstance(found, float)
    assert least <= found <= most


def test_a_literal_comparison_of_latency_is_simulated_with_both_arms() -> None:
    """Noise of p95 alone fires "> 1 % over baseline" often, and "> 100 %" never."""
    known = Known("times", 60.0, None, LogNormal(0.06, 0.12, (0.05, 0.1, 0.15, 0.2, 0.3)))
    often = firing(trigger({"t": "> 1% over baseline", "profile": "literal"}), FIVE_MINUTES, known)
    never = firing(trigger({"t": "> 100% over baseline", "profile": "literal"}), FIVE_MINUTES, known)
    assert isinstance(often, float)
    assert often > 0.3
    assert never == 0.0


@pytest.mark.parametrize(("rule", "rate"), [("p20 > 85%", 0.1), ("p50 < 20%", 0.3)])
def test_ratios_are_bad_on_the_wrong_side_of_their_limit(rule: str, rate: float) -> None:
    """Whichever side that is: far from the quantile nothing fires, beyond it everything does."""
    read = criterion({"confidence": rule, "profile": "literal"})
    assert firing(read, FIVE_MINUTES, Known("ratios", 50.0, rate)) == 0.0
    assert firing(read, FIVE_MINUTES, Known("ratios", 50.0, 0.9)) == 1.0


@pytest.mark.parametrize(
    ("rule", "known", "told"),
    [
        (ANY, Known("rate", None, 0.1), "--rps"),
        (ANY, Known("rate", 1.0, None), "--error-rate"),
        (criterion({"e": "< 1%", "profile": "literal"}), Known("rate", 1.0, None), "--error-rate"),
        (criterion({"t": "p95 < 1s", "profile": "literal"}), Known("times", 1.0, 0.1), "--latency t=P50/P95"),
    ],
)
def test_what_is_missing_is_named(rule: Rule, known: Known, told: str) -> None:
    """With the option that gives it."""
    assert told in str(firing(rule, HALF_AN_HOUR, known))


@pytest.mark.parametrize(
    ("rule", "exposure", "instead"),
    [
        (trigger({"e": "any", "on": "features"}), 0.1, "{e: worse than baseline, on: features}"),
        (trigger({"e": "any", "on": ["a", "b"]}), 0.1, "{e: worse than baseline, on: [a, b]}"),
        (criterion({"e": "none"}), 0.1, "{e: no worse than baseline by 100%}"),
        (criterion({"e": "none"}), 1.0, '{e: "< 1%"}'),
        (trigger({"e": "any"}), 1.0, '{e: "> 1%"}'),
        (criterion({"e": "< 1%", "profile": "literal"}), 0.1, '{e: "< 1%"} without profile: literal'),
    ],
)
def test_the_statistical_rule_beside_it_can_be_written_into_the_plan(rule: Rule, exposure: float, instead: str) -> None:
    """As it stands; with nobody on the baseline it is a limit."""
    assert honest(rule, exposure, Known("rate", 10.0, 0.002)) == instead


def test_none_needs_300_clean_opportunities_and_any_one() -> None:
    """As the literal judge asks."""
    assert isinstance(NONE, NoneSeen)
    assert isinstance(ANY, AnySeen)
    assert (clean_needed(NONE), clean_needed(ANY)) == (300, 1)
