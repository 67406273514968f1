"""Runs that were lost are made again: by the guard, as often as it looks, while Prefect answers."""

from __future__ import annotations

from prefect.settings import get_current_settings

from canary.errors import JournalError, JournalUnavailable
from canary.plan.load import parse_plan
from canary.ports import Journal
from canary.rollout.by_hand import stays
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.following import Following
from canary.rollout.overdue import Overdue, overdue
from canary.rollout.state import State
from canary.tasks.later import run_later
from canary.tasks.reviews import REVIEW_DEPLOYMENT
from canary.tasks.watches import WATCH_DEPLOYMENT

AGAIN = 3600.0
"""Seconds after which a lost review is made once more; a look of the watch has a new number each time."""
OLD = 30 * 86_400.0
"""Seconds since the end of a rollout after which neither it nor an older one is looked at."""


class LostRuns:
    """Looks for them. It remembers how far it has read each rollout: a look costs what is new, not days of blocks."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._following = Following(stores.journal)

    async def make_again(self) -> list[str]:
        """The names of the runs that were missing; none without a Prefect API: Prefect would start one of its own.

        Raises what Prefect raises, and JournalUnavailable.
        """
        made: list[str] = []
        built_upon: set[str] = set()
        journal, now = self.stores.journal, self.stores.clock.now()
        for rollout in await journal.rollouts() if get_current_settings().api.url else ():
            state = await self._readable(rollout)
            if state is None:
                continue
            if state.ended and now - state.ended_at > OLD:
                break
            for missing in await _missing(journal, state, now):
                # What a later rollout built upon is not looked at any more.
                if missing.kind == "review" or state.service not in built_upon:
                    made.append(await _make(missing, state, now))
            if stays(state):
                built_upon.add(state.service)
        return made

    async def _readable(self, rollout: str) -> State | None:
        """None for a rollout that another version wrote: it must stop no other."""
        try:
            return await self._following.of(rollout)
        except JournalUnavailable:
            raise
        except JournalError:
            return None


async def _missing(journal: Journal, state: State, now: float) -> tuple[Overdue, ...]:
    if state.ended is None:
        return ()
    return overdue(parse_plan((await stored_plan(journal, state.plan_hash)).body), state, now)


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
