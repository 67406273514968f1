"""What a pretended Vercel project remembers: deployments, who serves production, what rolls and what moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PROJECT = "prj_docflow"
TEAM = "team_docflow"
NAME = "docflow"
STARTED = 1_760_000_000_000
"""Milliseconds: when the first deployment was made."""


@dataclass(slots=True)
class Deployed:
    """One deployment. env: what was compiled in; state: Vercel's readyState."""

    id: str
    created: int
    target: Literal["production", "staging"] | None = "production"
    state: str = "READY"
    substate: Literal["STAGED", "ROLLING", "PROMOTED"] = "STAGED"
    project: str = PROJECT
    meta: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def url(self) -> str:
        """Its own host."""
        return f"{NAME}-{self.id.removeprefix('dpl_').lower()}.vercel.app"

    def brief(self) -> dict[str, Any]:
        """As a rolling release and a list name it."""
        return {
            "id": self.id,
            "name": NAME,
            "url": self.url,
            "target": self.target,
            "source": "cli",
            "createdAt": self.created,
            "readyState": self.state,
            "readyStateAt": self.created,
        }

    def whole(self) -> dict[str, Any]:
        """As it is told on its own."""
        return {
            **self.brief(),
            "uid": self.id,
            "created": self.created,
            "status": self.state,
            "state": self.state,
            "readySubstate": self.substate,
            "projectId": self.project,
            "project": {"id": self.project, "name": NAME},
            "ownerId": TEAM,
            "team": {"id": TEAM, "name": NAME, "slug": NAME},
            "creator": {"uid": "user_docflow", "username": NAME},
            "meta": self.meta,
            "type": "LAMBDAS",
            "version": 2,
            "plan": "pro",
            "inspectorUrl": f"https://vercel.com/{NAME}/{NAME}/{self.id.removeprefix('dpl_')}",
            "aliasAssigned": self.substate == "PROMOTED",
            "errorMessage": self.why or None,
        }


@dataclass(frozen=True, slots=True)
class Rolled:
    """A rolling release. stages: percentages with what was configured for them; at: the active stage's index."""

    canary: str
    current: str
    stages: tuple[Mapping[str, Any], ...]
    at: int = 0
    state: Literal["ACTIVE", "COMPLETE", "ABORTED"] = "ACTIVE"

    def stage(self, index: int) -> dict[str, Any] | None:
        """As the API tells it: durations in seconds, though they are configured in minutes."""
        if not 0 <= index < len(self.stages):
            return None
        told, last = self.stages[index], index == len(self.stages) - 1
        minutes = told.get("duration")
        return {
            "index": index,
            "isFinalStage": last,
            "targetPercentage": told["targetPercentage"],
            "requireApproval": bool(told.get("requireApproval")) and not last,
            "duration": None if minutes is None else 60 * minutes,
        }


@dataclass(frozen=True, slots=True)
class Moved:
    """A move of the production domains. looks: how often it is still shown as under way."""

    kind: Literal["promote", "rollback"]
    origin: str
    to: str
    asked: int
    looks: int = 0
    failed: bool = False

    @property
    def status(self) -> str:
        """As the API names it."""
        if self.looks:
            return "in-progress"
        return "failed" if self.failed else "succeeded"

    def told(self) -> dict[str, Any]:
        """The project's lastAliasRequest."""
        return {
            "fromDeploymentId": self.origin,
            "toDeploymentId": self.to,
            "jobStatus": self.status,
            "requestedAt": self.asked,
            "type": self.kind,
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """Where users are sent: all that a change changes at once, so that a stale read is a former one of these."""

    production: str
    rolling: Rolled | None = None
    moved: Moved | None = None

    def shares(self) -> dict[str, float]:
        """Deployment → share of users, 0–1."""
        if self.rolling is None or self.rolling.state != "ACTIVE":
            return {self.production: 1.0}
        share = self.rolling.stages[self.rolling.at]["targetPercentage"] / 100
        return {self.rolling.current: 1 - share, self.rolling.canary: share}
