"""The looks after full exposure: scheduled one after the other, each as a Prefect run of its own."""

from __future__ import annotations

from prefect import task

from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.people import read_state
from canary.rollout.state import State
from canary.tasks.foreign import own_words
from canary.tasks.later import run_later
from canary.tasks.policy import POLICY

WATCH_DEPLOYMENT = "watch/watch"


async def look_again(stores: Stores, rollout: str, after: int) -> None:
    """Schedule the look behind that number, unless the watch is over by then, or the rollout went back."""
    state = await read_state(stores.journal, rollout)
    plan = await _plan(stores, state)
    if plan.watch is None or state.ended is None or state.ended.outcome != "promoted":
        return
    due = state.ended_at + (after + 1) * plan.watch.every
    if due <= state.ended_at + plan.watch.lasts:
        await schedule(rollout, after + 1, due)


async def close_window(stores: Stores, rollout: str) -> None:
    """Once the watch is over and every review has run, the sealed credentials go: the way back by them is closed.

    A look that never came is waited for until the next one would have been due.
    """
    state = await read_state(stores.journal, rollout)
    plan = await _plan(stores, state)
    reviewed = all(offset in state.reviewed for offset in plan.review.after)
    if reviewed and _watched(plan, state, stores.clock.now()):
        await stores.vault.drop(rollout)


def _watched(plan: Plan, state: State, now: float) -> bool:
    """Whether every look was done, or none is to come any more."""
    if plan.watch is None:
        return True
    looks = int(plan.watch.lasts // plan.watch.every)
    return len(state.watched) >= looks or now > state.ended_at + plan.watch.lasts + plan.watch.every


@task(name="schedule watch", task_run_name="schedule look {number} of the watch", **POLICY)
@own_words
async def schedule(rollout: str, number: int, due: float) -> str:
    """One run per rollout and number, however often this is asked. The run's id."""
    return await run_later(WATCH_DEPLOYMENT, due, f"watch:{rollout}:{number}", rollout=rollout, number=number)


async def _plan(stores: Stores, state: State) -> Plan:
    return parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
