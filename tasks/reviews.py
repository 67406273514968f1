"""Reviews are scheduled as Prefect runs of their own, each offset once."""

from __future__ import annotations

from prefect import task

from canary.tasks.foreign import own_words
from canary.tasks.later import run_later
from canary.tasks.policy import POLICY

REVIEW_DEPLOYMENT = "review/review"


@task(name="schedule review", task_run_name="schedule the review after {offset:.0f} s", **POLICY)
@own_words
async def schedule(rollout: str, offset: float, due: float) -> str:
    """One run per rollout and offset, however often this is asked. The run's id."""
    key = f"review:{rollout}:{offset:g}"
    return await run_later(REVIEW_DEPLOYMENT, due, key, rollout=rollout, offset_seconds=offset)
