"""The plan as a value: what it measures, which blocks it needs, what candidates are called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canary.plan.load import parse_plan
from canary.plan.model import Arms, Feature, Plan, Signal
from canary.plan.signals import narrow

Body = Callable[[dict[str, Any]], str]


@pytest.fixture
def plan(plan_body: Body) -> Plan:
    """The sound plan."""
    return parse_plan(plan_body({}))


def test_durations_are_plan_seconds_and_are_scaled_to_real_ones(plan_body: Body) -> None:
    """At a scale of 60 half an hour of the plan takes 30 real seconds; the plan's own numbers do not change."""
    plan = parse_plan(plan_body({"time_scale": 60}))
    assert plan.phases[1].duration == 1800
    assert plan.seconds(1800) == 30
    assert plan.rollback.within == 300
    assert plan.review.after == (86400, 172800)


def test_what_a_plan_leaves_out_has_the_safe_default(plan: Plan) -> None:
    """Undecided rolls back, a hold ends, approvals are asked for, nothing is skipped."""
    undecided = plan.phases[1].on_undecided
    assert (undecided.then, undecided.extend, undecided.within) == ("rollback", None, 28800)
    assert (plan.grant_approvals, plan.without, plan.time_scale) == (False, (), 1.0)


def test_a_phase_measures_its_rules_and_the_traffic(plan: Plan) -> None:
    """Narrowed signals stand beside the whole one, each under its own id."""
    measures = plan.measures(plan.phases[1])
    assert list(measures) == ["errors", "latency", "errors on features"]
    assert measures["errors"].where == {}
    assert measures["errors on features"].where == {"route": r"/cart|/cart\.v2|/search"}
    assert list(plan.measures(plan.phases[2])) == ["errors"]


def test_a_narrowed_signal_matches_the_features_paths_and_nothing_else(plan: Plan) -> None:
    """Endpoints are exact: a dot in a path is a dot."""
    where = plan.measures(plan.phases[1])["errors on features"].where["route"]
    matching = [
        path for path in ("/cart", "/cart.v2", "/cartxv2", "/search", "/searching") if re.fullmatch(where, path)
    ]
    assert matching == ["/cart", "/cart.v2", "/search"]


@given(st.lists(st.from_regex(r"/[^\s?#/][^\s?#]{0,8}", fullmatch=True), min_size=1, max_size=4), st.text(max_size=8))
def test_whatever_characters_paths_have_narrowing_selects_exactly_them(paths: list[str], other: str) -> None:
    """No path is read as a pattern."""
    signal = Signal(counter="c", bad={"status": "5.."}, endpoint="route")
    where = narrow(signal, [Feature(endpoints=tuple(paths))]).where["route"]
    assert all(re.fullmatch(where, path) for path in paths)
    assert (re.fullmatch(where, other) is not None) == (other in paths)


def test_a_signal_without_endpoints_is_narrowed_by_component() -> None:
    """The component label is the second choice."""
    signal = Signal(counter="js_errors_total", of="page_views_total", component="part", where={"app": "shop"})
    assert narrow(signal, [Feature(components=("cart",))]).where == {"app": "shop", "part": "cart"}


def test_a_signal_with_both_labels_is_narrowed_by_endpoint() -> None:
    """The endpoint label is the first choice, also for a feature that has components."""
    signal = Signal(counter="c", bad={"status": "5.."}, endpoint="route", component="part")
    assert narrow(signal, [Feature(endpoints=("/cart",), components=("cart",))]).where == {"route": "/cart"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"counter": "a", "histogram": "b", "bad": {"status": "5.."}},
        {"counter": "a", "gauge": "b"},
        {"gauge": "a", "of": "b"},
        {"gauge": "a", "unit": "ratio"},
        {"counter": "a", "bad": {"status": "5.."}, "of": "b"},
        {"counter": "a", "bad": {"status": "5.."}, "unit": "ms"},
        {"histogram": "a", "bad": {"status": "5.."}},
        {"histogram": "a", "of": "b"},
        {"histogram": "a_bucket"},
        {"histogram": "a", "unit": "us"},
        {"counter": "a", "bad": {"status": "5(.."}},
        {"counter": "a", "bad": {"status": "(?!2).*"}},
        {"counter": "a b", "bad": {"status": "5.."}},
        {"counter": "a", "bad": {"sta-tus": "5.."}},
    ],
)
def test_a_signal_that_could_not_be_counted_cannot_be_made(fields: dict[str, Any]) -> None:
    """One metric; what is bad said in one way; patterns that Prometheus reads as Python does."""
    with pytest.raises(ValidationError):
        Signal(**fields)


def test_arms_are_filled_in_one_pass() -> None:
    """A version that looks like a placeholder is not filled again."""
    arms = Arms(canary={"version": "v{candidate}"}, baseline={"version": "{stable}", "pool": "a"})
    filled = arms.resolve("{stable}", "1.9")
    assert filled == Arms(canary={"version": "v{stable}"}, baseline={"version": "1.9", "pool": "a"})


def test_an_arm_without_labels_cannot_be_made() -> None:
    """It would match every series."""
    with pytest.raises(ValidationError):
        Arms(canary={}, baseline={"version": "1"})


def test_every_block_the_plan_can_need_is_named_once(plan: Plan) -> None:
    """Targets, metrics, notifiers, then tokens."""
    assert plan.block_refs() == ("envoy/shop-api", "flags/shop", "scraper/shop", "terminal/local", "token/shop")


def test_the_token_of_a_skipped_check_is_not_needed(plan_body: Body) -> None:
    """A plan that goes without a check needs no credential for it."""
    assert "token/shop" not in parse_plan(plan_body({"without": ["home"]})).block_refs()


def test_a_candidate_is_called_by_artifact_version_or_flag_values(plan_body: Body) -> None:
    """The artifact applies where the kind has artifacts; a router knows versions; flags know values."""
    artifact = {"use": "fly/shop", "artifact": "registry.example/shop:{version}"}
    plan = parse_plan(plan_body({"targets.image": artifact, "targets.flags.set": {"b": False, "a": True}}))
    routed = parse_plan(plan_body({"targets.api": {**artifact, "use": "envoy/shop"}}))
    assert plan.candidate("image", "2.1.0") == "registry.example/shop:2.1.0"
    assert routed.candidate("api", "2.1.0") == "2.1.0"
    assert plan.candidate("flags", "2.1.0") == '{"a":true,"b":false}'
    assert json.loads(plan.candidate("flags", "2.1.0")) == plan.targets["flags"].set


def test_a_plan_cannot_be_changed(plan: Plan) -> None:
    """A plan is what was approved."""
    with pytest.raises(ValidationError):
        plan.name = "other"
