"""The JSON Schema of plan files and of their overlays, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from canary.plan.model import Plan
from canary.plan.overlay import Overlay
from canary.plan.problems import PlanSchema


def plan_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12): a document with the key `overlay` is an overlay, every other one a plan."""
    refs, definitions = models_json_schema([(Plan, "validation"), (Overlay, "validation")], schema_generator=PlanSchema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A prefect-canary plan, or an overlay of one",
        "type": "object",
        "if": {"required": ["overlay"]},
        "then": refs[(Overlay, "validation")],
        "else": refs[(Plan, "validation")],
        "$defs": definitions["$defs"],
    }
