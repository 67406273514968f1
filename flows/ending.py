"""How a run ends in Prefect: green when promoted, red with the reason in words otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from canary.errors import LeaseLost
from canary.rollout.events import Outcome


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The outcome of a rollout, and why."""

    outcome: Outcome
    reason: str


def ended(end: RunEnd, cancelled: bool = False) -> State[Any]:
    """The final state of the flow run; the UI shows its name and message. A cancelled run may end in no other type."""
    name = end.outcome.replace("_", " ").title().replace(" ", "")
    if end.outcome == "promoted":
        return Completed(name=name, message=end.reason)
    return (Cancelled if cancelled else Failed)(name=name, message=end.reason)


def taken_over(error: LeaseLost) -> State[Any]:
    """Another process conducts the rollout now: this run says so and touches nothing."""
    return Failed(name="TakenOver", message=str(error))
