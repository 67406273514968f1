"""The doctor's look at Prefect: its API, the work pool and who polls it, the deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from canary.cli.deploying import POOL, SHARED, WORKER, has_worker, prefect_api
from canary.cli.doctor.finding import Finding, looked
from canary.flows.rollout import rollout

WITHIN = 6.0
"""Seconds for all questions to Prefect's API."""
_DEPLOY = "canary deploy PLAN makes the work pool and all deployments"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A rollout deployment: its name, and the hash of the plan that it carries ("" when it carries none)."""

    name: str
    plan_hash: str


@dataclass(frozen=True, slots=True)
class Orchestration:
    """What Prefect told."""

    findings: Sequence[Finding]
    plans: Sequence[Deployed]


async def orchestration() -> Orchestration:
    """Everything that Prefect's API tells, or that it does not answer."""
    told: list[Orchestration] = []

    async def look() -> Finding:
        async with prefect_api() as client:
            api = _api(await client.api_version())
            told.append(await _told(client))
        return api

    api = await looked("Prefect API", WITHIN, look)
    if not told:
        rest = Finding("plans and blocks", "not known", "Prefect has them, and was not heard")
        return Orchestration((api, rest), ())
    return Orchestration((api, *told[0].findings), told[0].plans)


def _api(theirs: str) -> Finding:
    place = urlsplit(get_current_settings().api.url or "")
    ours = version("prefect")
    detail = f"{place.hostname}:{place.port or place.scheme} answers, version {theirs}"
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return Finding("Prefect API", "warning", f"{detail}; here is {ours}", "bring both to the same minor version")
    return Finding("Prefect API", "ok", detail)


async def _told(client: PrefectClient) -> Orchestration:
    pool, worker, shared, plans = await asyncio.gather(
        _pool(client), has_worker(client), _shared(client), _plans(client)
    )
    polls = (
        Finding("worker", "ok", f"polls the work pool {POOL!r}")
        if worker
        else Finding("worker", "missing", f"nobody polls the work pool {POOL!r}: no run would start", WORKER)
    )
    return Orchestration((pool, polls, shared, _deployed(plans)), plans)


async def _pool(client: PrefectClient) -> Finding:
    try:
        found = await client.read_work_pool(POOL)
    except ObjectNotFound:
        return Finding("work pool", "missing", f"there is no work pool {POOL!r}", _DEPLOY)
    if found.is_paused:
        fix = f"prefect work-pool resume {POOL}"
        return Finding("work pool", "missing", f"the work pool {POOL!r} is paused: no run would start", fix)
    return Finding("work pool", "ok", f"{POOL!r}, type {found.type}")


async def _shared(client: PrefectClient) -> Finding:
    names = [f"{flow.name}/{flow.name}" for flow in SHARED]
    there = await asyncio.gather(*(_exists(client, name) for name in names))
    gone = [name for name, found in zip(names, there, strict=True) if not found]
    if gone:
        return Finding("deployments", "missing", f"not deployed: {', '.join(gone)}", _DEPLOY)
    return Finding("deployments", "ok", ", ".join(names))


async def _exists(client: PrefectClient, name: str) -> bool:
    try:
        await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return False
    return True


async def _plans(client: PrefectClient) -> list[Deployed]:
    of_rollout = FlowFilter(name=FlowFilterName(any_=[rollout.name]))
    found = await client.read_deployments(flow_filter=of_rollout, limit=200)
    return [Deployed(one.name, str(one.parameters.get("plan", ""))) for one in found]


def _deployed(plans: Sequence[Deployed]) -> Finding:
    if not plans:
        return Finding("plans", "missing", "no plan is deployed", "canary deploy PLAN")
    return Finding("plans", "ok", ", ".join(f"{rollout.name}/{one.name}" for one in plans))
