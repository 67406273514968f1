"""People's decisions from the Prefect UI: each a small run that adds one line to the journal."""

from __future__ import annotations

from typing import Annotated, Literal

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from canary.blocks.opener import OPENER
from canary.rollout import events as e
from canary.rollout.by_hand import bring_back
from canary.rollout.people import enter, read_state
from canary.tasks.stores import opened

HOW = "a name typed into Prefect, unproven"
Said = Annotated[str, Field(min_length=1)]


@flow(name="approve", flow_run_name="{decision} {rollout} as {role}", persist_result=False)
async def approve(
    rollout: Said, role: Said, by: Said, reason: Said, decision: Literal["approve", "reject"] = "approve"
) -> None:
    """Say yes or no to the go-live that a rollout waits for.

    Args:
        rollout: Which rollout, such as phase1-1a2b3c4d: canary status lists them, and a run's log names its own.
        role: The role you speak in, as the plan names it, such as product_owner.
        by: Your name, for the journal. Prefect does not prove it, so it is recorded as unproven.
        reason: Why, for the journal.
        decision: Yes or no.
    """
    async with opened() as stores:
        state = await read_state(stores.journal, rollout)
        subject = state.approval.subject if state.approval else ""
        given: e.Decision
        if decision == "approve":
            given = e.ApprovalGiven(role=role, by=by, how=HOW, reason=reason, subject=subject)
        else:
            given = e.ApprovalRejected(role=role, by=by, how=HOW, reason=reason)
        await enter(stores.journal, stores.clock, rollout, given)
    get_run_logger().info("%s: %s by %s as %s", rollout, decision, by, role)


@flow(name="abort", flow_run_name="abort {rollout}", persist_result=False)
async def abort(rollout: Said, by: Said, reason: Said) -> None:
    """Take users off the candidate and end the rollout. It stays aborted.

    Args:
        rollout: Which rollout, such as phase1-1a2b3c4d: canary status lists them, and a run's log names its own.
        by: Your name, for the journal. Prefect does not prove it, so it is recorded as unproven.
        reason: Why, for the journal.
    """
    async with opened() as stores:
        await enter(stores.journal, stores.clock, rollout, e.AbortAsked(by=by, how=HOW, reason=reason))
    get_run_logger().info("%s: abort by %s", rollout, by)


@flow(name="roll-back", flow_run_name="roll back {rollout}", persist_result=False)
async def roll_back_by_hand(rollout: Said, by: Said, reason: Said) -> None:
    """Go back to the stable release, also after full exposure; done from here when no conductor lives.

    Args:
        rollout: Which rollout, such as phase1-1a2b3c4d: canary status lists them, and a run's log names its own.
        by: Your name, for the journal. Prefect does not prove it, so it is recorded as unproven.
        reason: Why, for the journal.
    """
    async with opened() as stores:
        await bring_back(stores, rollout, e.RollbackAsked(by=by, how=HOW, reason=reason), OPENER)
