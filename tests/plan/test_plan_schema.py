"""The JSON Schema that editors use: as strict as the loader about shapes, and never stricter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from canary.plan.load import load_plan
from canary.plan.schema import plan_schema
from canary.plan.source import read

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def validator() -> Draft202012Validator:
    """A validator for plan documents."""
    schema = plan_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_shipped_plans_follow_the_schema(validator: Draft202012Validator, plans: Path) -> None:
    """The plan and its overlay, each as the document it is; and the resolved one."""
    for file in sorted(plans.glob("*.yaml")):
        validator.validate(read(file).data)
        validator.validate(json.loads(load_plan(file).body))


@pytest.mark.parametrize(
    "edits",
    [
        {"nmae": "x"},
        {"name": 5},
        {"phases.1.for": 30},
        {"phases.1.for": "30 minutes"},
        {"phases.1.exposure": 10},
        {"phases.1.exposure": None},
        {"phases.1.critera": []},
        {"phases.1.criteria.0": {"errors": 5}},
        {"phases.1.criteria.0": "errors < 1%"},
        {"phases.0.checks.0": {"name": "x"}},
        {"signals.latency.unit": "us"},
        {"signals.Latency": {"histogram": "h"}},
        {"metrics": "prometheus"},
        {"roles.owner.slack": "@olga"},
        {"targets.api.set": {"x": "yes"}},
        {"time_scale": 0},
    ],
)
def test_an_editor_sees_what_the_loader_refuses(
    validator: Draft202012Validator, plan_body: Callable[[dict[str, Any]], str], edits: dict[str, Any]
) -> None:
    """Unknown keys, wrong types and wrong notations are underlined while typing."""
    assert validator.is_valid(json.loads(plan_body({})))
    assert not validator.is_valid(json.loads(plan_body(edits)))


@pytest.mark.parametrize("said", [{"phases": []}, {"time_scale": "fast"}, {"targets": {"api": {"artifact": "x"}}}])
def test_an_editor_sees_what_an_overlay_may_not_say(validator: Draft202012Validator, said: dict[str, Any]) -> None:
    """A document with the key `overlay` is held to the overlay's own shape."""
    assert validator.is_valid({"overlay": "phase1.yaml"})
    assert not validator.is_valid({"overlay": "phase1.yaml", **said})


def test_an_editor_can_explain_every_key_of_a_phase(validator: Draft202012Validator) -> None:
    """The descriptions are the model's own, and defaults are in plan notation."""
    phase = plan_schema()["$defs"]["Phase"]["properties"]
    assert all("description" in field for name, field in phase.items() if name != "name")
    assert plan_schema()["$defs"]["RollbackSpec"]["properties"]["within"]["default"] == "5m"
    assert plan_schema()["$defs"]["ReviewSpec"]["properties"]["after"]["default"] == ["24h", "48h"]
    assert plan_schema()["$defs"]["Plan"]["properties"]["time_scale"]["default"] == 1.0
    assert "default" not in phase["for"]
