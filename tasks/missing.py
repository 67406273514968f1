"""Runs that were lost are made again: by the guard, as often as it looks, while Prefect answers."""

from __future__ import annotations

from prefect.settings import get_current_settings

from canary.plan.load import parse_plan
from canary.rollout.by_hand import superseded_by
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.overdue import Overdue, overdue
from canary.rollout.people import readable
from canary.rollout.state import State
from canary.tasks.later import run_later
from canary.tasks.reviews import REVIEW_DEPLOYMENT
from canary.tasks.watches import WATCH_DEPLOYMENT

AGAIN = 3600.0
"""Seconds after which a lost review is made once more; a look of the watch has a new number each time."""


async def make_again(stores: Stores) -> list[str]:
    """The names of the runs that were missing; none without a Prefect API, of which Prefect would start one of its own.

    Raises what Prefect raises, and JournalUnavailable.
    """
    made: list[str] = []
    if not get_current_settings().api.url:
        return made
    async for state in readable(stores.journal):
        plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
        now = stores.clock.now()
        for missing in overdue(plan, state, now):
            if missing.kind == "watch" and await superseded_by(stores, state):
                continue
            made.append(await _make(missing, state, now))
    return made


async def _make(missing: Overdue, state: State, now: float) -> str:
    """One run a name, however many guards ask for it."""
    if missing.kind == "review":
        name = f"review:{state.rollout}:{missing.which:g}:again:{int(now // AGAIN)}"
        await run_later(REVIEW_DEPLOYMENT, now, name, rollout=state.rollout, offset_seconds=missing.which)
        return name
    number = int(missing.which)
    name = f"watch:{state.rollout}:{number}:again"
    await run_later(WATCH_DEPLOYMENT, now, name, rollout=state.rollout, number=number)
    return name
