"""What a page's script says of itself through `POST /beacon`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from canary.sandbox.wire import FEATURES, FORECAST, Component, Feature, Use

_FEATURES = {(feature.component, feature.use): feature for feature in FEATURES}
LONGEST_RENDER_SECONDS = 60.0


class Seen(BaseModel):
    """The page was opened, or its script threw. What it threw is not kept."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["view", "error"]
    component: Component


class Used(BaseModel):
    """Its feature was used. Only the analytics page says how many seconds the result took to be on the screen."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["use"]
    component: Component
    use: Use
    render_seconds: Annotated[float, Field(ge=0, le=LONGEST_RENDER_SECONDS, allow_inf_nan=False)] | None = None

    @property
    def feature(self) -> Feature:
        return _FEATURES[self.component, self.use]

    @model_validator(mode="after")
    def _of_this_page(self) -> Used:
        if (self.component, self.use) not in _FEATURES:
            raise ValueError("the page has no such use")
        if self.render_seconds is not None and self.feature is not FORECAST:
            raise ValueError("only the forecast's rendering is measured")
        return self


Beacon = Seen | Used
_BEACON: TypeAdapter[Beacon] = TypeAdapter(Annotated[Beacon, Field(discriminator="kind")])


def parse(body: bytes) -> Beacon | None:
    """None for a body that is no beacon: whoever sends rubbish must not make new series."""
    try:
        return _BEACON.validate_json(body)
    except ValidationError:
        return None
