"""What is said of a phase's rules, and that what is suggested would do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from canary.judge.power.facts import Facts
from canary.judge.power.outlook import Outlook, outlooks
from canary.judge.terms import Terms
from canary.plan.model import Phase, Signal
from canary.plan.units import seconds, share

SIGNALS = {
    "errors": Signal(counter="requests_total", bad={"status": "5.."}),
    "latency": Signal(histogram="seconds"),
    "p95": Signal(gauge="p95_seconds", window="5m"),  # type: ignore[arg-type]
}


def phase(criteria: list[dict[str, Any]], triggers: Any = None, **more: Any) -> Phase:
    body = {"name": "canary", "for": "15m", "exposure": "10%", "criteria": criteria, "triggers": triggers or [], **more}
    return Phase.model_validate_json(json.dumps(body))


def facts(**body: Any) -> Facts:
    return Facts.model_validate_json(json.dumps({"rps": 20, "error_rate": "0.2%", **body}))


def seen(of: Phase, known: Facts, simulate: bool = True) -> list[Outlook]:
    terms = Terms(horizon=int((of.duration or 0) // 15), windows={"p95": 5.0})
    return list(outlooks(of, terms, SIGNALS, known, simulate))


LIMIT = {"errors": "< 1%"}


def test_what_cannot_decide_is_told_with_what_would_do() -> None:
    """15 minutes at 2 canary requests a second cannot show "< 1 %": each suggestion, followed, can."""
    (told,) = seen(phase([LIMIT]), facts())
    assert told.standing == "cannot decide"
    assert told.why.startswith("a healthy release goes green in only 1")
    longer, more, coarser = told.suggestions
    tried = [
        phase([LIMIT], **{"for": longer.removeprefix("longer: for: ")}),
        phase([LIMIT], exposure=more.removeprefix("more exposure: ")),
        phase([{"errors": coarser.removeprefix("coarser: ").strip('"')}]),
    ]
    assert seconds(longer.removeprefix("longer: for: ")) > 900
    assert share(more.removeprefix("more exposure: ")) > 0.1
    for each in tried:
        (better,) = seen(each, facts())
        assert better.green
        assert better.green.share > 0.87


def test_where_nothing_would_do_that_is_said() -> None:
    """A service that breaks the limit today."""
    (told,) = seen(phase([LIMIT], **{"for": "5m"}), facts(error_rate="20%"))
    assert told.suggestions == ("nothing of this kind would do: look at the traffic, the limit and today's bad share",)


def test_a_limit_that_the_service_breaks_today_is_said() -> None:
    """A trigger that would roll every healthy release back, too."""
    (told,) = seen(phase([], [{"errors": "> 1%"}]), facts(rps=300, error_rate="3%"))
    assert told.standing == "cannot decide"
    assert told.why == "as the service is today it breaks the rule: 100 % of healthy releases are rolled back"
    assert told.fires == 1.0


def test_a_rule_that_decides_needs_no_advice() -> None:
    """It says what it finds and how soon a healthy release is promoted."""
    (told,) = seen(phase([LIMIT]), facts(rps=300))
    assert (told.standing, told.suggestions, told.why) == ("decides", (), "")
    assert told.fires is not None
    assert told.fires <= 0.01
    assert told.smallest
    assert told.green
    assert told.green.share > 0.99
    assert told.smallest.share == pytest.approx(0.002 * told.smallest.factor)
    assert [factor for factor, _ in told.curve] == sorted(factor for factor, _ in told.curve)


def test_rules_share_alpha_by_their_weights() -> None:
    """A second statistical rule costs the first; a literal one does not."""
    worse = {"errors": "worse than baseline"}
    alone = seen(phase([], [worse]), facts())[0].smallest
    with_literal = seen(phase([], [worse, {"errors": "any"}]), facts())[0].smallest
    shared = seen(phase([], [worse, {"latency": "p95 > 1s", "weight": 99}]), facts())[0].smallest
    assert alone == with_literal
    assert alone
    assert shared
    assert shared.factor > alone.factor


def test_a_ready_made_number_that_can_never_decide_is_said_without_any_facts() -> None:
    """Six windows of five minutes; and how long it would take."""
    (told,) = seen(phase([], [{"p95": "> 20% over baseline"}], **{"for": "30m"}), Facts(), simulate=False)
    assert (told.judged, told.standing) == ("sign test", "cannot decide")
    assert told.why.startswith("6 windows of 5m can never decide: a rollback needs ")
    assert told.signs
    assert told.suggestions[0] == f"longer: for: {told.signs.to_fail * 5}m, at the least"
    longer = phase([], [{"p95": "> 20% over baseline"}], **{"for": f"{told.signs.to_fail * 5}m"})
    assert seen(longer, Facts(), simulate=False)[0].standing == "decides"


def test_missing_facts_make_a_rule_unknown_and_no_error() -> None:
    """Rule by rule: one may be known and another not."""
    told = seen(phase([LIMIT, {"latency": "p95 < 200ms"}]), facts(), simulate=False)
    assert told[1].standing == "unknown"
    assert "--latency latency=P50/P95" in told[1].why


@pytest.mark.parametrize("more", [{"exposure": "0%"}, {"for": None}])
def test_a_phase_without_users_or_time_has_nothing_to_foresee(more: dict[str, Any]) -> None:
    """Staging, and everybody without a duration."""
    without = phase([LIMIT]).model_copy(update={"exposure": 0.0} if "exposure" in more else {"duration": None})
    assert seen(without, facts()) == []


def test_an_outlook_is_plain_data() -> None:
    """JSON, with a name as a plan says it."""
    (told,) = seen(phase([LIMIT]), facts(), simulate=False)
    assert json.loads(json.dumps(told.to_data()))["rule"] == "< 1%"
    assert told.name == "errors < 1%"
    assert replace(told, measure="errors on features").name == "errors < 1% on features"
