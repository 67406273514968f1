"""What the lines of a journal are made of: values that several events share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Immutable, JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Identities(Part):
    """One target's release: immutable identities, `stable` as observed."""

    candidate: str
    stable: str


class Baseline(Part):
    """What a version's users met, as it was recorded when everybody had got it.

    figures: measure → what it showed: `total` counted, and either `share` (of bad events) or `p50`, `p95`, `p99`
    in seconds; a figure that could not be told is absent.
    """

    rollout: str
    version: str
    figures: Mapping[str, Mapping[str, float]]


class Shown(Part):
    """What one target shows."""

    answer: Literal["yes", "no", "cannot tell"]
    observed: float | None
    detail: str
