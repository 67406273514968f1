"""Reviews: scheduled as Prefect runs of their own, each offset once."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from prefect import task
from prefect.deployments.flow_runs import arun_deployment

from canary.blocks.opener import OPENER
from canary.errors import CanaryError, Conflict
from canary.review.report import three_lines
from canary.rollout.conducting import Stores
from canary.rollout.events import Reviewed
from canary.rollout.people import read_state
from canary.rollout.posting import post_to_thread
from canary.rollout.thread import line
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
    """The three lines that matter; the first time they are asked for at this offset, journaled and told."""
    while True:
        state = await read_state(stores.journal, rollout)
        if offset in state.reviewed:
            return state.reviewed[offset]
        lines = three_lines(state, offset)
        reviewed = Reviewed(offset=offset, lines=lines)
        try:
            await stores.journal.append(rollout, state.seq, [reviewed.entry(stores.clock.now())])
        except Conflict:
            continue
        # Nobody told is no reason to report again: the lines are journaled.
        with contextlib.suppress(CanaryError):
            await post_to_thread(stores, OPENER, rollout, line(state, reviewed) or "")
        return lines
