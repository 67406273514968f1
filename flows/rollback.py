"""The way back, shown: exposure 0 seen on every target, then the end. It never waits for Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prefect import flow

from canary.flows.ending import RunEnd
from canary.rollout.conductor import Conductor
from canary.tasks.retreat import exposure_zero

STARTS_WITHIN = 5.0
"""Seconds for the subflow to start; later the same work is done without Prefect (promise I5)."""


@flow(name="rollback", flow_run_name="rollback: {reason}", persist_result=False, validate_parameters=False)
async def rollback(conductor: Conductor, reason: str, started: Callable[[], None]) -> bool:
    """Whether every target shows exposure 0. It was sent before: here it is completed and verified."""
    started()
    return await exposure_zero(conductor)


async def roll_back(conductor: Conductor) -> RunEnd:
    """As a subflow, or directly when Prefect does not start it in time."""
    verified = await _as_subflow(conductor)
    if verified is None:
        verified = await conductor.finish_rollback()
    reason = conductor.state.rollback.reason if conductor.state.rollback else "rolled back"
    return RunEnd("rolled_back" if verified else "unverified", reason)


async def _as_subflow(conductor: Conductor) -> bool | None:
    """None when it did not start or did not get through."""
    begun = asyncio.Event()
    reason = conductor.state.rollback.reason if conductor.state.rollback else ""
    running = asyncio.ensure_future(rollback(conductor, reason[:120], begun.set))
    starting = asyncio.ensure_future(begun.wait())
    try:
        await asyncio.wait({running, starting}, timeout=STARTS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not begun.is_set():
            return None
        return await running
    except Exception:
        return None
    finally:
        running.cancel()
        starting.cancel()
        await asyncio.gather(running, starting, return_exceptions=True)
