"""SIGTERM: a run that is cancelled in the Prefect UI is an abort; any other end leaves the rollout to the guard."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from canary.errors import BadUsage, CanaryError
from canary.rollout.conducting import Seat
from canary.rollout.people import enter
from canary.rollout.reviving import cancelled_in_prefect

PREFECT_ANSWERS_WITHIN = 2.0


@asynccontextmanager
async def terminable(seat: Seat, run_id: str) -> AsyncIterator[asyncio.Event]:
    """Within the block SIGTERM is looked into, in place of killing the process. The event: cancelled in Prefect."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    looks: set[asyncio.Task[None]] = set()
    cancelled = asyncio.Event()

    def asked_to_end() -> None:
        if me is not None:
            looks.add(asyncio.ensure_future(_look_into(seat, run_id, me, cancelled)))

    former = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, asked_to_end)
    try:
        yield cancelled
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, former)
        for look in looks:
            look.cancel()


async def _look_into(seat: Seat, run_id: str, flow: asyncio.Task[object], cancelled: asyncio.Event) -> None:
    """Cancelled in Prefect: abort, and let the flow bring users back. Anything else: end now, lease given up."""
    if not await _cancelled(run_id):
        flow.cancel()
        return
    cancelled.set()
    try:
        await enter(seat.stores.journal, seat.stores.clock, seat.record.state.rollout, cancelled_in_prefect())
    except BadUsage:
        return
    except CanaryError:
        # The journal is away: without a conductor the guard brings users back.
        flow.cancel()


async def _cancelled(run_id: str) -> bool:
    try:
        async with asyncio.timeout(PREFECT_ANSWERS_WITHIN), get_client() as client:
            run = await client.read_flow_run(UUID(run_id))
    except Exception:
        return False
    return run.state is not None and run.state.type in (StateType.CANCELLING, StateType.CANCELLED)
