"""Paging while the journal is away: by the routes of what was under way when it last answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from canary.errors import JournalUnavailable
from canary.plan.load import parse_plan
from canary.ports import Lock, Notifier
from canary.rollout.adapters import Opener, open_notifiers
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.desk import Desk
from canary.rollout.events import Event
from canary.rollout.pager import PAGE_AGAIN_AFTER
from canary.rollout.people import read_state
from canary.rollout.record import SILENT_AFTER
from canary.rollout.silence import Asked, Silence


class Alarm:
    """The guard's own: without a journal it can bring nobody back, so that somebody must know."""

    def __init__(self, stores: Stores, opener: Opener) -> None:
        self.stores = stores
        self.opener = opener
        self._under_way: dict[str, Mapping[str, Notifier]] = {}
        self._silence = Silence(stores.clock)
        self._paged_at = float("-inf")

    async def heard(self, locks: Sequence[Lock]) -> None:
        """The journal answered: who would have to be woken is remembered, from preflight on. Raises nothing."""
        self.answered("read")
        rollouts = {lock.rollout for lock in locks}
        for rollout in self._under_way.keys() - rollouts:
            await asyncio.gather(*(route.close() for route in self._under_way.pop(rollout).values()))
        for rollout in sorted(rollouts - self._under_way.keys()):
            # Nothing is sealed yet, or one journal is broken: no single rollout may end the guard of the others.
            with contextlib.suppress(Exception):
                self._under_way[rollout] = await self._routes(rollout)

    def answered(self, asked: Asked) -> None:
        """The next silence is counted, and paged, anew."""
        self._silence.ends(asked)
        if not self._silence.seconds:
            self._paged_at = float("-inf")

    async def silent(self, asked: Asked) -> None:
        """It did not answer: after 10 s of that page for every rollout under way, and again every 5 min."""
        now = self.stores.clock.monotonic()
        self._silence.goes_on(asked, now)
        for_seconds = self._silence.seconds
        if for_seconds < SILENT_AFTER or now - self._paged_at < PAGE_AGAIN_AFTER:
            return
        self._paged_at = now
        await asyncio.gather(*(self._page(name, for_seconds) for name in self._under_way))

    async def _routes(self, rollout: str) -> Mapping[str, Notifier]:
        state = await read_state(self.stores.journal, rollout)
        plan = parse_plan((await stored_plan(self.stores.journal, state.plan_hash)).body)
        return open_notifiers(plan.notify.page, await self.stores.vault.open(rollout), self.opener)

    async def _page(self, rollout: str, for_seconds: float) -> None:
        async def spooled(event: Event) -> None:
            entry = event.entry(self.stores.clock.now())
            await asyncio.to_thread(self.stores.spool.add, rollout, [entry])

        desk = Desk(self.stores.clock, rollout, {}, self._under_way[rollout], spooled)
        what = (
            f"the journal has not answered the guard for {for_seconds:.0f} s: a conductor that dies now is not replaced"
        )
        # A spool that is full is the lesser trouble: the page is out.
        with contextlib.suppress(JournalUnavailable):
            await desk.page_now(f"{rollout}:guard-journal", f"{what}. See to it that CANARY_JOURNAL_URL answers")
