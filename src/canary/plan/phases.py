"""Phases: how much exposure, for how long, what is looked at, who says yes, and what if nobody can tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from canary.plan.closing import Step
from canary.plan.rules import Criterion, Trigger
from canary.plan.signals import Strict
from canary.plan.units import Line, Metric, Name, Ref, Risk, Seconds, Share, UrlPath
from canary.plan.visits import UiCheck


class MetricsCheck(Strict):
    """Looks once whether the candidate's metrics are present and collecting."""

    name: Line
    metrics: tuple[Metric, ...] = Field(min_length=1)
    """Metric names that must be there, and must move."""
    path: UrlPath = "/metrics"
    """Where the candidate shows them."""


class HttpCheck(Strict):
    """Looks once whether the candidate answers a GET as expected."""

    name: Line
    get: UrlPath
    """Path and query on the candidate."""
    bearer: Ref | None = None
    """The token block whose value is sent as bearer token."""
    expect: int = Field(default=200, ge=100, le=599)
    """The HTTP status that passes."""


_KINDS: dict[str, type[Strict]] = {"get": HttpCheck, "metrics": MetricsCheck, "open": UiCheck}


def _kind_of_check(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((f"<{key}>" for key in _KINDS if key in value), None)
    return next((f"<{key}>" for key, model in _KINDS.items() if isinstance(value, model)), None)


Check = Annotated[
    Annotated[HttpCheck, Tag("<get>")] | Annotated[MetricsCheck, Tag("<metrics>")] | Annotated[UiCheck, Tag("<open>")],
    Discriminator(
        _kind_of_check,
        custom_error_type="no_check",
        custom_error_message="a check has one of get (a path), metrics (a list of metric names) and open (a page)",
    ),
]


def bearer_of(check: Check) -> str | None:
    """The token block that a check sends, if any."""
    return None if isinstance(check, MetricsCheck) else check.bearer


class Approval(Strict):
    """Named people who must say yes before the phase begins."""

    by: tuple[Name, ...] = Field(min_length=1)
    """Roles; each must approve."""
    within: Seconds
    """How long it may take; then the rollout ends."""


class OnUndecided(Strict):
    """What happens when the time is over and the evidence decides nothing."""

    extend: Seconds | None = None
    """Go on for so long first."""
    then: Literal["hold", "rollback"] = "rollback"
    """hold keeps the exposure and pages; a person decides, or the hold ends."""
    within: Seconds = Field(default=8 * 3600.0, alias="for")
    """The end of a hold, a person's too; then it rolls back."""


class SettleSpec(Strict):
    """A warm-up: what is measured in it is no evidence."""

    seconds: Seconds = Field(alias="for")
    """How long the candidate warms up once it has users, in plan time."""
    at_most: Risk = 0.5
    """The share of bad requests beyond which the phase ends all the same."""


class Phase(Strict):
    """One step of the rollout, at one exposure."""

    name: Name
    duration: Seconds | None = Field(default=None, alias="for")
    """How long the phase lasts, in plan time. Without it the phase ends once its work is done."""
    exposure: Share
    """The share of users on the candidate."""
    checks: tuple[Check, ...] = ()
    """At 0% only: looked at once, before anybody sees the candidate."""
    approval: Approval | None = None
    """Asked for before the phase begins."""
    criteria: tuple[Criterion, ...] = ()
    """What must all be shown for promotion."""
    triggers: tuple[Trigger, ...] = ()
    """Any one of these rolls back at once."""
    alpha: Risk | None = None
    """The plan's alpha, for this phase."""
    beta: Risk | None = None
    """The plan's beta, for this phase."""
    settle: SettleSpec | None = None
    """A warm-up before evidence is gathered."""
    on_undecided: OnUndecided = OnUndecided()
    """What happens when the evidence decides nothing."""
    then: tuple[Step, ...] = ()
    """In the last phase: what is done when everybody has the candidate, in this order."""
