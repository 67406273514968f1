"""Where conductors run, as the guard asks for them: Prefect's runs of a plan's deployment."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.settings import get_current_settings

from canary.ports import Journal
from canary.rollout.conducting import stored_plan
from canary.rollout.reviving import ATTEMPTS
from canary.rollout.state import State

FLOW = "rollout"
CANCELLED = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING, StateType.CANCELLED]))


class PrefectRuns:
    """`rollout.reviving.Runs`. Raises what Prefect's client raises."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def cancelled(self, state: State) -> bool:
        """Whether any run of the rollout is cancelled: the first, or one that was asked for since."""
        async with get_client() as client:
            for run in _runs_of(state):
                if await client.read_flow_runs(flow_run_filter=run, limit=1):
                    return True
        return False

    async def start(self, state: State, attempt: int) -> None:
        """A run of the plan's deployment, by the plan that the rollout began with."""
        plan = await stored_plan(self.journal, state.plan_hash)
        parameters = {
            "version": state.version,
            "plan": state.plan_hash,
            "requested_by": state.requested_by,
            "rollout_id": state.rollout,
        }
        async with get_client() as client:
            deployed = await client.read_deployment_by_name(f"{FLOW}/{plan.name}")
            await client.create_flow_run_from_deployment(
                deployed.id, parameters=parameters, idempotency_key=_key(state.rollout, attempt)
            )


def prefect_runs(journal: Journal) -> PrefectRuns | None:
    """None without a Prefect API: Prefect would start an empty one of its own."""
    return PrefectRuns(journal) if get_current_settings().api.url else None


def _key(rollout: str, attempt: int) -> str:
    return f"resume:{rollout}:{attempt}"


def _runs_of(state: State) -> list[FlowRunFilter]:
    keys = [_key(state.rollout, attempt) for attempt in range(1, ATTEMPTS + 1)]
    asked = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys), state=CANCELLED)
    if state.flow_run is None:
        return [asked]
    return [FlowRunFilter(id=FlowRunFilterId(any_=[UUID(state.flow_run)]), state=CANCELLED), asked]
