"""The sandbox's vocabulary: names and numbers that its processes, and those who talk to them, share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, ...] = get_args(Colour)

Layer = Literal["api", "web"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

Fault = Literal["none", "errors", "latency", "ui", "starve", "telemetry"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

STABLE_VERSION = "2.0.9"
TOTAL_WEIGHT = 10_000
"""What a layer's two runtime weights must sum to: one unit is 0.01 % of the users."""

VERSION_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
BROKEN_SUFFIX = "-broken"

PHASE1_FLAG = "phase1_enabled"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the release: the page (= UI component) it is shown on, its flag, its API call."""

    component: str
    flag: str
    method: Literal["GET", "POST"]
    endpoint: str
    throws: bool
    """Whether the fault `ui` makes this component throw."""


FEATURES = (
    Feature("queue", "NEXT_PUBLIC_ENABLE_AI_QUEUE", "GET", "/api/admin/queue", throws=True),
    Feature("analytics", "NEXT_PUBLIC_ENABLE_FORECAST", "GET", "/api/admin/analytics/forecast", throws=True),
    Feature(
        "export",
        "NEXT_PUBLIC_ENABLE_EXPORT_SCHEDULE",
        "POST",
        "/api/admin/analytics/export/schedule",
        throws=False,
    ),
)
COMPONENTS = tuple(feature.component for feature in FEATURES)
INITIAL_FLAGS = {PHASE1_FLAG: False, **{feature.flag: True for feature in FEATURES}}
