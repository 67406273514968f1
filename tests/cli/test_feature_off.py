"""`canary rollback --feature`: one feature alone, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canary.errors import BadUsage
from canary.ports import StoredPlan
from canary.rollout import events as e

PLAN = {
    "targets": {
        "api": {"use": "envoy/api"},
        "web": {"use": "envoy/web"},
        "flags": {"use": "flags/shop", "set": {"spring": True, "QUEUE": True}, "read_by": ["api", "web"]},
    },
    "features": {"queue": {"flag": "QUEUE"}, "search": {"flag": "NEXT_PUBLIC_SEARCH"}},
}


@pytest.fixture
def judging(desk: Any, shop: Any, plan: StoredPlan) -> Any:
    """A rollout in its canary, of a plan with two features."""
    body = json.dumps(json.loads(plan.body) | PLAN)
    desk.plan = StoredPlan(plan.hash, plan.name, plan.service, body)
    desk.tell("r1", [*shop.until_canary(), shop.judged(8.0)])
    return desk


def switched(desk: Any, feature: str, *more: str) -> Any:
    return desk.canary("rollback", "r1", "--feature", feature, "--reason", "too slow", "--by", "Olga", *more)


def test_the_request_is_journaled_with_its_name_and_reason(judging: Any) -> None:
    """The conductor finds it there; the rest of the release stays."""
    done = switched(judging, "queue", "--json")
    assert done.exit_code == 0, done.output
    seq = json.loads(done.stdout)["seq"]
    (line,) = [
        x for x in map(json.loads, judging.canary("journal", "r1", "--json").stdout.splitlines()) if x["seq"] == seq
    ]
    assert line["type"] == e.FeatureOffAsked.type
    assert line["data"]["feature"] == "queue"
    assert (line["data"]["by"], line["data"]["reason"], line["data"]["proven"]) == ("Olga", "too slow", False)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("quue", "the plan has no feature 'quue'"),
        ("search", "its flag is in no target's set"),
    ],
)
def test_what_cannot_be_switched_is_said_with_the_way_out(judging: Any, feature: str, said: str) -> None:
    """Nothing is journaled."""
    before = judging.canary("journal", "r1", "--json").stdout
    refused = switched(judging, feature)
    assert isinstance(refused.exception, BadUsage)
    assert said in str(refused.exception)
    assert refused.exception.fix
    assert judging.canary("journal", "r1", "--json").stdout == before


def test_status_shows_what_is_off(judging: Any) -> None:
    """For people and for programs."""
    off = e.FeatureOffIntended(feature="queue", flag="QUEUE", target="api", candidate="{}", why="bad")
    judging.tell("r1", [off])
    assert "switched off: queue" in judging.canary("status", "r1").stdout
    assert json.loads(judging.canary("status", "r1", "--json").stdout)["features_off"] == ["queue"]
