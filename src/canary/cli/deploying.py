"""Prefect deployments: one per plan, and the shared ones for reviews and people's decisions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import Flow
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from canary.errors import BadUsage
from canary.flows.decisions import abort, approve, roll_back_by_hand
from canary.flows.review import review
from canary.flows.rollout import rollout
from canary.flows.watch import watch
from canary.plan.load import LoadedPlan
from canary.plan.words import phase_in_words
from canary.ports import Journal, StoredPlan

POOL = "canary"
SHARED: tuple[Flow[..., Any], ...] = (review, watch, approve, abort, roll_back_by_hand)
WORKER = f"prefect worker start --pool {POOL} --type process"


async def deploy(journal: Journal, loaded: LoadedPlan) -> list[str]:
    """Store the plan, make the work pool and every deployment; their names. Each step may be repeated.

    Raises BadUsage when there is no Prefect API.
    """
    async with prefect_api() as client:
        await _ensure_pool(client)
        plan = loaded.plan
        await journal.store_plan(StoredPlan(loaded.hash, plan.name, plan.service, loaded.body))
        deployments = [_of(flow, flow.name) for flow in SHARED]
        deployments.append(_of(rollout, plan.name, {"plan": loaded.hash}, _description(loaded), [plan.service]))
        for deployment in deployments:
            await deployment.aapply()
    return [deployment.full_name for deployment in deployments]


@asynccontextmanager
async def prefect_api() -> AsyncIterator[PrefectClient]:
    """Raises BadUsage when no Prefect API is set (Prefect would start an empty one of its own) or it is away."""
    url = get_current_settings().api.url
    if not url:
        raise BadUsage(
            "PREFECT_API_URL is not set",
            "set it to your Prefect server's address, or start everything here with: canary up",
        )
    try:
        async with get_client() as client:
            yield client
    except httpx.TransportError as error:
        place = urlsplit(url)
        raise BadUsage(
            f"the Prefect API at {place.hostname}:{place.port or place.scheme} does not answer",
            "start the server (prefect server start), or correct PREFECT_API_URL",
        ) from error


def _of(
    flow: Flow[..., Any],
    name: str,
    parameters: dict[str, Any] | None = None,
    description: str | None = None,
    tags: list[str] | None = None,
) -> RunnerDeployment:
    """The description is the flow's first paragraph by default: the form explains the parameters."""
    return RunnerDeployment.from_flow(
        flow,
        name=name,
        parameters=parameters,
        description=description or (flow.description or "").partition("\n\n")[0],
        tags=["canary", *(tags or [])],
        work_pool_name=POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def _description(loaded: LoadedPlan) -> str:
    steps = "\n".join(f"{n}. {phase_in_words(phase)}" for n, phase in enumerate(loaded.plan.phases, 1))
    return f"Rolls out {loaded.plan.service} by the plan {loaded.plan.name} ({loaded.hash[:12]}):\n\n{steps}"


async def _ensure_pool(client: PrefectClient) -> None:
    try:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", description="Runs rollouts"))
    except ObjectAlreadyExists:
        return


async def has_worker(client: PrefectClient) -> bool:
    """Whether anybody polls the work pool: without it a run would be late for ever."""
    try:
        workers = await client.read_workers_for_work_pool(POOL, offset=0, limit=200)
    except PrefectHTTPStatusError as error:
        # Asked about the workers of no pool at all, Prefect's client passes the bare answer on.
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            return False
        raise
    return any(worker.status == WorkerStatus.ONLINE for worker in workers)


async def start_run(loaded: LoadedPlan, journal: Journal, version: str, requested_by: str, rollout_id: str) -> str:
    """Create a run of the plan's deployment, deploying first what is not deployed. The run's id.

    Raises BadUsage when there is no Prefect API, or no worker polls.
    """
    async with prefect_api() as client:
        deployed = await _deployed(client, loaded)
        if not deployed or await journal.plan(loaded.hash) is None:
            await deploy(journal, loaded)
            deployed = await _deployed(client, loaded)
        if not await has_worker(client):
            raise BadUsage(f"no worker polls the work pool {POOL!r}: the run would never start", f"start one: {WORKER}")
        assert deployed is not None
        parameters = {"version": version, "requested_by": requested_by, "rollout_id": rollout_id}
        run = await client.create_flow_run_from_deployment(
            deployed, parameters={"plan": loaded.hash, **parameters}, idempotency_key=f"start:{rollout_id}"
        )
    return str(run.id)


async def _deployed(client: PrefectClient, loaded: LoadedPlan) -> UUID | None:
    """The plan's deployment, if it carries this very hash."""
    try:
        found = await client.read_deployment_by_name(f"{rollout.name}/{loaded.plan.name}")
    except ObjectNotFound:
        return None
    return found.id if found.parameters.get("plan") == loaded.hash else None
