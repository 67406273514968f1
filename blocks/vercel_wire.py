"""What Vercel's API says about one project, as numbers and identities. Pure.

Source: Vercel's REST API (`/v9/projects/{id}`, `/v1/projects/{id}/rolling-release`, `/v13/deployments/{id}`) as its
own SDK and CLI read it. An identity is a deployment's id, dpl_…; percentages on the wire are shares here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from canary.errors import ProviderUnavailable
from canary.ports import Release, Verification

T = TypeVar("T")
_NEAR = 1e-6
_UNDER_WAY = ("pending", "in-progress")


@dataclass(frozen=True, slots=True)
class Job:
    """The platform's last move of the production domains. requested_at: milliseconds, as the platform counts."""

    to: str
    status: str
    requested_at: float

    @property
    def under_way(self) -> bool:
        """Some domains may have moved, others not yet."""
        return self.status in _UNDER_WAY


@dataclass(frozen=True, slots=True)
class Project:
    """A project: who serves production, and how a rolling release of it would go.

    ladder:   the shares of its stages, rising, the last 1; empty while rolling releases are off.
    by_itself: why a rolling release would go on without being asked, or "".
    bypasses: the secrets that open protected deployments; None when the token may not see them.
    """

    production: str
    ladder: tuple[float, ...]
    by_itself: str
    job: Job | None
    bypasses: frozenset[str] | None = field(repr=False)

    def told(self) -> tuple[str, ...]:
        """Its words that come into results and errors."""
        return (self.production, self.job.to if self.job else "")


@dataclass(frozen=True, slots=True)
class Rolling:
    """An active rolling release. share: of users on the canary now; stage: index of the active stage."""

    canary: str
    current: str
    share: float
    stage: int
    ladder: tuple[float, ...]

    def told(self) -> tuple[str, ...]:
        """Its words that come into results and errors."""
        return (self.canary, self.current)


@dataclass(frozen=True, slots=True)
class Build:
    """A deployment. url: its host, without a scheme. why: what the platform says of a failure."""

    id: str
    name: str
    url: str
    state: str
    target: str
    project: str
    meta: Mapping[str, str]
    why: str
    created: float

    def told(self) -> tuple[str, ...]:
        """Its words that come into results and errors; `why` is hidden where it is told."""
        return (self.id, self.name, self.url, self.state, self.target, self.project)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the project."""

    project: Project
    rolling: Rolling | None

    def shares(self) -> dict[str, float]:
        """Deployment → share of users, 0–1. Raises ProviderUnavailable when nothing is in production."""
        if self.rolling:
            return {self.rolling.current: 1.0 - self.rolling.share, self.rolling.canary: self.rolling.share}
        if not self.project.production:
            raise ProviderUnavailable("the project has no production deployment", "deploy it to production once")
        return {self.project.production: 1.0}

    def settled_on(self, deployment: str) -> bool:
        """That deployment serves everybody, and the last move of domains is over and did not fail."""
        job = self.project.job
        moved = job is None or not (job.under_way or job.status == "failed")
        return self.rolling is None and self.project.production == deployment and moved

    def moving_to(self, deployment: str) -> bool:
        """The platform has accepted to send everybody there and is at it."""
        job = self.project.job
        return job is not None and job.to == deployment and job.under_way


def _understood(what: str) -> Callable[[Callable[[Any], T]], Callable[[Any], T]]:
    """The reader raises ProviderUnavailable for an answer that it cannot read."""

    def understanding(read: Callable[[Any], T]) -> Callable[[Any], T]:
        @wraps(read)
        def understood(said: Any) -> T:
            try:
                return read(said)
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
                failure = ProviderUnavailable(
                    f"Vercel answered something that is not {what}",
                    "check the block's url; if it is Vercel's, its API has changed: look for a newer version of this "
                    "program",
                )
            # Outside of the handler: what is no number is quoted there. A context manager would be inside of it.
            raise failure

        return understood

    return understanding


@_understood("a project")
def project(said: Any) -> Project:
    """Of `GET /v9/projects/{id}?rollbackInfo=true`."""
    if not said["id"]:
        raise ValueError
    production = (said.get("targets") or {}).get("production") or {}
    stages = (said.get("rollingRelease") or {}).get("stages") or []
    bypasses = said.get("protectionBypass")
    return Project(
        production=str(production.get("id") or ""),
        ladder=_ladder(stages),
        by_itself=_by_itself(stages),
        job=_job(said.get("lastAliasRequest")),
        bypasses=None if bypasses is None else frozenset(bypasses),
    )


@_understood("a rolling release")
def rolling(said: Any) -> Rolling | None:
    """Of the answers of `/rolling-release` and its verbs; None unless one is active."""
    told = said["rollingRelease"]
    if told is None or told["state"] != "ACTIVE":
        return None
    stage, exact = told["activeStage"], told.get("currentCanaryPercentage")
    return Rolling(
        canary=str(told["canaryDeployment"]["id"]),
        current=str(told["currentDeployment"]["id"]),
        share=_share(stage["targetPercentage"] if exact is None else exact),
        stage=int(stage["index"]),
        ladder=_ladder(told["stages"]),
    )


@_understood("a deployment")
def build(said: Any) -> Build:
    """Of `GET /v13/deployments/{id}`, and of an entry of the list, which calls the id `uid`."""
    return Build(
        id=str(said.get("id") or said["uid"]),
        name=str(said.get("name") or ""),
        url=str(said["url"]),
        state=_state(said),
        target=str(said.get("target") or "preview"),
        project=str(said.get("projectId") or ""),
        meta=dict(said.get("meta") or {}),
        why=str(said.get("errorMessage") or said.get("readyStateReason") or ""),
        created=float(said.get("createdAt") or said.get("created") or 0),
    )


@_understood("a list of deployments")
def builds(said: Any) -> list[Build]:
    """Of `GET /v7/deployments`."""
    return [build(entry) for entry in said["deployments"]]


def at(share: float, ladder: tuple[float, ...]) -> int | None:
    """The index of the stage with that share, or None."""
    return next((index for index, step in enumerate(ladder) if abs(step - share) < _NEAR), None)


def steps(ladder: tuple[float, ...]) -> str:
    """The shares in words: "0%, 10% and 100%"."""
    *lower, last = [f"{share * 100:g}%" for share in (0.0, *(ladder or (1.0,)))]
    return f"{', '.join(lower)} and {last}"


def compare(seen: Seen, release: Release, share: float) -> Verification:
    """Whether users are split as asked, between these two deployments, and nothing is on its way."""
    shares = seen.shares()
    wanted = {release.stable: 1.0 - share, release.candidate: share}
    holds = all(abs(shares.get(who, 0.0) - part) < _NEAR for who, part in wanted.items())
    shown = ", ".join(f"{part * 100:g}% on {who}" for who, part in shares.items())
    trouble = _trouble(seen, release)
    answer = Verification("no", None, "") if trouble or not holds else Verification("yes", None, "")
    return Verification(answer.answer, shares.get(release.candidate, 0.0), shown + trouble)


def _trouble(seen: Seen, release: Release) -> str:
    job = seen.project.job
    if job is None or job.to not in (release.stable, release.candidate):
        return ""
    if job.under_way:
        return f"; domains are still being moved to {job.to}"
    # A former job says nothing about a split that a rolling release makes now.
    return f"; not every domain could be moved to {job.to}" if job.status == "failed" and not seen.rolling else ""


def _ladder(stages: Any) -> tuple[float, ...]:
    return tuple(_share(stage["targetPercentage"]) for stage in stages)


def _by_itself(stages: Any) -> str:
    """The final stage needs nobody; any other must wait to be approved."""
    for stage in stages[:-1]:
        if stage.get("linearShift") or not stage.get("requireApproval"):
            return f"its stage of {stage['targetPercentage']:g}% goes on without an approval"
    return ""


def _job(said: Any) -> Job | None:
    if not said:
        return None
    return Job(str(said["toDeploymentId"]), str(said["jobStatus"]), float(said["requestedAt"]))


def _state(said: Any) -> str:
    gone = said.get("deletedAt") or said.get("softDeletedByRetention")
    return "DELETED" if gone else str(said.get("readyState") or said["state"])


def _share(percentage: Any) -> float:
    share = float(percentage) / 100
    if not 0 <= share <= 1:
        raise ValueError
    return share
