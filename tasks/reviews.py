"""Reviews: scheduled as Prefect runs of their own, each offset once."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task
from prefect.deployments.flow_runs import arun_deployment

from canary.errors import Conflict
from canary.review.report import three_lines
from canary.rollout.conducting import Stores
from canary.rollout.events import Reviewed
from canary.rollout.people import read_state
from canary.tasks.policy import POLICY

REVIEW_DEPLOYMENT = "review/review"


@task(name="schedule review", task_run_name="schedule the review after {offset:.0f} s", **POLICY)
async def schedule(rollout: str, offset: float, due: float) -> str:
    """One run per rollout and offset, however often this is asked. The run's id."""
    run = await arun_deployment(
        REVIEW_DEPLOYMENT,
        parameters={"rollout": rollout, "offset_seconds": offset},
        scheduled_time=datetime.fromtimestamp(due, UTC),
        timeout=0,
        as_subflow=False,
        idempotency_key=f"review:{rollout}:{offset:g}",
    )
    return str(run.id)


@task(name="report", **POLICY)
async def report(stores: Stores, rollout: str, offset: float) -> tuple[str, ...]:
    """The three lines that matter, journaled the first time they are asked for at this offset."""
    while True:
        state = await read_state(stores.journal, rollout)
        if offset in state.reviewed:
            return state.reviewed[offset]
        lines = three_lines(state, offset)
        try:
            line = Reviewed(offset=offset, lines=lines).entry(stores.clock.now())
            await stores.journal.append(rollout, state.seq, [line])
        except Conflict:
            continue
        return lines
