"""The end of a rollout: what is done once everybody has the candidate, and how long it is watched after that."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from canary.plan.signals import Strict
from canary.plan.units import Line, Name, Ref, Seconds

Step = Literal["audit", "baseline", "dashboards", "alerts", "docs", "announce"]
Shows = Literal["p50", "p90", "p95", "p99", "share"]
QUANTILES: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def _web(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(/[^\s]*)?", value):
        # Without the value: where a user stands in it, a password may.
        raise ValueError("must be a web address without user, such as https://docs.example.com/phase-1")
    return value


WebAddress = Annotated[str, AfterValidator(_web)]


class Figure(Strict):
    """One measured number of the audit event."""

    signal: Name
    """What is measured; on the candidate, in the phase that was judged last."""
    shows: Shows
    """A quantile of a histogram, or a counter's share of bad events."""
    unit: Literal["ms", "s", "percent"] = Field(alias="in")
    """ms or s for a quantile, percent for a share."""


class Announcement(Strict):
    """Who hears of it, where they read on, and where they say what they think."""

    to: tuple[Ref, ...] = ()
    """Notifiers, beside those for updates."""
    says: Line
    """The first line."""
    links: dict[Line, WebAddress] = Field(default_factory=dict)
    """Title → address of the documentation."""
    feedback: WebAddress
    """Where users say what they think of it."""


class WatchSpec(Strict):
    """Looking on after full exposure. Real seconds, whatever the time scale."""

    lasts: Seconds = Field(default=24 * 3600.0, alias="for")
    """How long."""
    every: Seconds = 300.0
    """How often what happened since is judged."""
    on_fail: Literal["page", "rollback"] = Field(default="page", alias="then")
    """page wakes somebody; rollback goes back to the stable release, and pages too."""
