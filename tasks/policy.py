"""What all tasks of a rollout have in common: Prefect shows and retries them, and never remembers for them."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from canary.errors import BadUsage, LeaseLost

RETRIES = 3
RETRY_AFTER_SECONDS = 2.0


async def infrastructure(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth a retry: a verdict is a return value, so what raises is infrastructure.

    Not when the answer would be the same again: a wrong plan or credential, or a lock that somebody else holds.
    """
    del task, run
    error = await state.aresult(raise_on_failure=False)
    return not isinstance(error, BadUsage | LeaseLost)


POLICY: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_AFTER_SECONDS,
    "retry_condition_fn": infrastructure,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
