"""What keeps a rollout from going forward: what is asked for, a hold, a feature switched off, a stop, a rollback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from canary.rollout.events import Cause


@dataclass(frozen=True, slots=True)
class Approval:
    """What is being asked: by these roles, for this subject, until `due`; and who has said yes."""

    roles: tuple[str, ...]
    subject: str
    due: float
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(role for role in self.roles if role not in self.given)


@dataclass(frozen=True, slots=True)
class Hold:
    """A person must decide: since when, until when at most (None until a conductor has seen it), and why."""

    since: float
    until: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class FeatureOff:
    """The feature that was switched off last: where, when, and why.

    measure, rate: which bad events it caused, and how many a request of the candidate; "" and 0 where a person asked.
    seen_at: when every target showed it. recovered: judged anew, the candidate did no harm without it.
    """

    feature: str
    flag: str
    target: str
    why: str
    measure: str
    rate: float
    at: float
    seen_at: float | None = None
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """An abort or an asked rollback: sticky from the line that says it."""

    by: str
    reason: str
    kind: Literal["abort", "rollback"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Another run was asked for, as the `attempt`th one, in place of the conductor of `epoch`."""

    attempt: int
    epoch: int
    at: float


@dataclass(frozen=True, slots=True)
class Rollback:
    """The way back. `unverified_at`: when it was first said that not every target shows exposure 0."""

    cause: Cause
    reason: str
    started_at: float
    verified: bool = False
    unverified_at: float | None = None
