"""What the platforms' process is told on standard input, and what it answers, each one line of JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from canary.sandbox.wire import Colour


class PlatformsConfig(BaseModel):
    """The sandbox's own parts, which the platforms move. The addresses are those of `canary.sandbox.state.State`."""

    model_config = ConfigDict(frozen=True)

    router_url: str
    admin_url: str
    deploy_url: str
    flags_url: str
    metrics_urls: dict[Colour, str]
    admin_token: str = Field(repr=False)
    flags_token: str = Field(repr=False)
    internal_token: str = Field(repr=False)


class Platforms(BaseModel):
    """They serve.

    blocks:   block reference → the plain values to make it from; they hold tokens.
    page:     the address of a page (JSON) that shows what they were asked and where they stand; it holds no secret.
    browser:  arguments for a Chromium that shall find the deployments' addresses on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: dict[str, dict[str, Any]] = Field(repr=False)
    page: str
    browser: tuple[str, ...]


class Platform(BaseModel):
    """One of them, for people. requests: `METHOD path template` → how many came, the most frequent first."""

    model_config = ConfigDict(frozen=True)

    url: str
    requests: dict[str, int]
    state: dict[str, Any]
