"""The runbook: preflight, staging, go-live, canary, full, review; and from any point the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from canary.blocks.opener import OPENER
from canary.blocks.registry import load_fields
from canary.errors import CanaryError, JournalUnavailable, LeaseLost, ServiceBusy
from canary.flows.ending import RunEnd, ended, taken_over
from canary.flows.rollback import roll_back
from canary.flows.termination import terminable
from canary.plan.model import Phase
from canary.rollout.conducting import Seat, Start, begin, conducting, refuse, taking
from canary.rollout.conductor import Conductor
from canary.rollout.history import History, begin_story
from canary.rollout.people import read_state
from canary.tasks import closing, phases
from canary.tasks.board import Board
from canary.tasks.foreign import kind_and_place
from canary.tasks.reviews import schedule
from canary.tasks.stores import opened
from canary.tasks.watches import look_again

Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
PlanHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _run_name() -> str:
    """Service and phase are added as they become known."""
    return f"rollout {flow_run.get_parameters().get('version', '')}"


@flow(name="rollout", flow_run_name=_run_name, persist_result=False)
async def rollout(version: Version, plan: PlanHash, requested_by: str = "somebody", rollout_id: str = "") -> State[Any]:
    """Roll one version out by one plan: staging, canary, full, or back.

    Args:
        version: The version to roll out, such as 2.1.0.
        plan: The hash of the deployed plan. Leave it as it is; canary deploy sets it.
        requested_by: Your name, for the journal. Prefect does not prove it, so it is recorded as unproven.
        rollout_id: Leave it empty: a new rollout gets an id of its own.
    """
    own_id = flow_run.get_id() or ""
    id_ = rollout_id or f"rollout-{own_id[:8]}"
    start = Start(id_, plan, version, requested_by, "a name typed into Prefect, unproven", own_id)
    try:
        async with opened() as stores:
            await begin(stores, start)
            get_run_logger().info("this is the rollout %s; to stop it: Cancel here, or canary abort %s", id_, id_)
            if over := (await read_state(stores.journal, id_)).ended:
                return ended(RunEnd(over.outcome, f"it had ended before: {over.reason}"))
            async with taking(stores, id_) as seat, _shown(seat), terminable(seat, own_id) as cancelled:
                return ended(await _run(seat), cancelled.is_set())
    except ServiceBusy as error:
        return ended(RunEnd("refused", str(error)))
    except LeaseLost as error:
        return taken_over(error)


@asynccontextmanager
async def _shown(seat: Seat) -> AsyncIterator[None]:
    board = Board(seat.plan, await _history(seat))
    seat.record.listeners.append(board)
    async with board.shown():
        yield


async def _history(seat: Seat) -> History:
    """What an earlier run has told. A run is not given up for what it cannot show."""
    try:
        return (await begin_story(seat.stores.journal, seat.record.state.rollout)).history
    except JournalUnavailable:
        return History()


async def _run(seat: Seat) -> RunEnd:
    try:
        adapters = await phases.preflight(seat, load_fields, OPENER)
    except CanaryError as error:
        await refuse(seat, error)
        return RunEnd("refused", str(error))
    async with conducting(seat, adapters) as conductor:
        try:
            end = await _forward(conductor)
        except (LeaseLost, JournalUnavailable):
            raise
        except Exception as error:
            await conductor.roll_back("conductor", f"the conductor failed: {_why(error)}")
            end = None
        if end is None:
            return await roll_back(conductor)
    await _look_on(seat)
    return end


async def _forward(conductor: Conductor) -> RunEnd | None:
    """Phase after phase. None as soon as one of them did not pass: by then exposure 0 is sent."""
    for phase in conductor.plan.phases:
        steps = [phases.approval, _task_of(phase)] if phase.approval else [_task_of(phase)]
        for step in steps:
            end = await step(conductor, phase)
            if not end.passed:
                return None
    if not await _closing(conductor):
        return None
    await conductor.promote()
    return RunEnd("promoted", "every phase has passed")


async def _closing(conductor: Conductor) -> bool:
    """Step after step; False when the rollout is on its way back. What Prefect does not get through is left to
    `promote`, which needs no Prefect: everybody has the candidate, and it was judged good."""
    try:
        for step in conductor.plan.closing:
            if not await closing.step(conductor, step):
                return False
    except (LeaseLost, JournalUnavailable):
        raise
    except Exception as error:
        get_run_logger().warning("the closing goes on without Prefect: %s", type(error).__name__)
    return True


async def _look_on(seat: Seat) -> None:
    """Reviews and watch are scheduled, and the first report is told. What fails here takes nobody off the candidate."""
    # It brings pandas, which takes a second to import: no user waits for that at the start of a rollout.
    from canary.flows.review import review_report

    state, stores = seat.record.state, seat.stores
    try:
        for offset, due in state.reviews.items():
            await schedule(state.rollout, offset, due)
        await look_again(stores, state.rollout, 0)
        await review_report(state.rollout, 0.0)
    except Exception as error:
        again = f"run the deployments review and watch by hand for {state.rollout}"
        get_run_logger().error("not every look after full exposure is scheduled: %s; %s", _why(error), again)


def _why(error: Exception) -> str:
    """Our own words; of another library's error the kind and the place, since its words may quote a secret."""
    return error.what if isinstance(error, CanaryError) else kind_and_place(error)


def _task_of(phase: Phase) -> Any:
    if phase.exposure == 0:
        return phases.staging
    return phases.full if phase.exposure == 1 else phases.canary
