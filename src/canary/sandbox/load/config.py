"""What the load generator is told on standard input: a LoadConfig, then a Scene after every deployment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from canary.sandbox.wire import Colour


class LoadConfig(BaseModel):
    """rps: requests per second of ordinary users, pages' follow-up requests included."""

    model_config = ConfigDict(frozen=True)

    router_url: str
    rps: float = Field(ge=0)
    users: int = Field(ge=1)
    seed: int
    docflow_token: str = Field(repr=False)
    internal_token: str = Field(repr=False)


class Scene(BaseModel):
    model_config = ConfigDict(frozen=True)

    versions: dict[Colour, str | None]
    candidate: Colour | None
