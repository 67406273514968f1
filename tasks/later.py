"""A run of a shared deployment at a later time, once, however often it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect.deployments.flow_runs import arun_deployment


async def run_later(deployment: str, due: float, key: str, **parameters: Any) -> str:
    """`due` in unix seconds; `key` names the run, so that it is made once. The run's id."""
    run = await arun_deployment(
        deployment,
        parameters=parameters,
        scheduled_time=datetime.fromtimestamp(due, UTC),
        timeout=0,
        as_subflow=False,
        idempotency_key=key,
    )
    return str(run.id)
