"""The sandbox's vocabulary: names and numbers that its processes, and those who talk to them, share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, ...] = get_args(Colour)

Layer = Literal["api", "web"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

Fault = Literal["none", "errors", "feature", "latency", "ui", "starve", "telemetry"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

STABLE_VERSION = "2.0.9"
TOTAL_WEIGHT = 10_000
"""What a layer's two runtime weights must sum to: one unit is 0.01 % of the users."""

VERSION_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
BROKEN_SUFFIX = "-broken"

PHASE1_FLAG = "phase1_enabled"


Component = Literal["queue", "analytics", "export"]
COMPONENTS: tuple[Component, ...] = get_args(Component)

Use = Literal["ai_filter", "forecast_toggle", "export_schedule"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the release: the page (= UI component) it is shown on, its flag, its API call."""

    name: str
    component: Component
    use: Use
    """What the page's script calls a use of it."""
    flag: str
    method: Literal["GET", "POST"]
    endpoint: str
    throws: bool
    """Whether the fault `ui` makes this component throw."""


AI_QUEUE = Feature(
    "queue_ai_enrichment",
    "queue",
    "ai_filter",
    "NEXT_PUBLIC_ENABLE_AI_QUEUE",
    "GET",
    "/api/admin/queue",
    throws=True,
)
FORECAST = Feature(
    "analytics_forecasting",
    "analytics",
    "forecast_toggle",
    "NEXT_PUBLIC_ENABLE_FORECAST",
    "GET",
    "/api/admin/analytics/forecast",
    throws=True,
)
SCHEDULE = Feature(
    "export_scheduling",
    "export",
    "export_schedule",
    "NEXT_PUBLIC_ENABLE_EXPORT_SCHEDULE",
    "POST",
    "/api/admin/analytics/export/schedule",
    throws=False,
)
FEATURES = (AI_QUEUE, FORECAST, SCHEDULE)
INITIAL_FLAGS = {PHASE1_FLAG: False, **{feature.flag: True for feature in FEATURES}}

ADMIN_EVERY = 50
"""Users are numbered; every fiftieth, from 0 on, is an admin."""
_USER_PATTERN = re.compile(r"user-(\d{1,6})")


def user_id(number: int) -> str:
    """What a user with this number (below a million) sends as `x-user`."""
    return f"user-{number}"


def is_admin(user: str) -> bool:
    """Whether this `x-user` is an admin's. Internal testers and browsers, which have no number, are none."""
    found = _USER_PATTERN.fullmatch(user)
    return found is not None and int(found[1]) % ADMIN_EVERY == 0
