"""Looking on after full exposure: a run for each look, which schedules the next one, until the plan's time is over."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from canary.blocks.opener import OPENER
from canary.rollout.watching import watch_once
from canary.tasks.stores import opened
from canary.tasks.watches import close_window, look_again

Number = Annotated[int, Field(ge=1)]


@flow(name="watch", flow_run_name="watch of {rollout}, look {number}", persist_result=False)
async def watch(rollout: str, number: Number) -> None:
    """Judge what happened since the last look by the limits of the canary. What is bad wakes somebody.

    Args:
        rollout: Which rollout to look on: canary status lists them.
        number: Which look it is, from 1. Each is done once.
    """
    async with opened() as stores:
        # Neither depends on the other: a look that fails is not the last one, and this one is done without a next.
        try:
            await look_again(stores, rollout, number)
        finally:
            state = await watch_once(stores, rollout, number, OPENER)
        get_run_logger().info("%s: look %s, %s", rollout, number, "bad" if state.watch_bad else "nothing bad")
        await close_window(stores, rollout)
