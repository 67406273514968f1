"""The review: a run of its own after each offset, which calls the subflow that the rollout also calls at full."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from canary.tasks.reporting import report
from canary.tasks.stores import opened
from canary.tasks.watches import close_window

Offset = Annotated[float, Field(ge=0)]


@flow(name="review_report", flow_run_name="report on {rollout} after {offset_seconds:.0f} s", persist_result=False)
async def review_report(rollout: str, offset_seconds: float) -> tuple[str, ...]:
    """The three lines that matter, journaled and printed."""
    async with opened() as stores:
        lines = await report(stores, rollout, offset_seconds)
    for line in lines:
        get_run_logger().info(line)
    return lines


@flow(name="review", flow_run_name="review of {rollout} after {offset_seconds:.0f} s", persist_result=False)
async def review(rollout: str, offset_seconds: Offset) -> None:
    """Report on a rollout some time after full exposure. After the last one, and the watch, its sealed credentials go.

    Args:
        rollout: Which rollout to report on: canary status lists them.
        offset_seconds: Seconds after full exposure, as the plan's review.after has it.
    """
    await review_report(rollout, offset_seconds)
    async with opened() as stores:
        await close_window(stores, rollout)
