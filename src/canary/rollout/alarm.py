"""Paging while the journal is away: by the routes of what was under way when it last answered a guard of this host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from canary.errors import JournalUnavailable
from canary.plan.load import parse_plan
from canary.ports import Lock
from canary.rollout.adapters import Fields, Opener, open_notifiers
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.desk import Desk
from canary.rollout.events import Event
from canary.rollout.following import Following
from canary.rollout.pager import PAGE_AGAIN_AFTER
from canary.rollout.record import SILENT_AFTER
from canary.rollout.silence import Asked, Silence


class Routes(Protocol):
    """Whom to page, kept where a journal that is away does not take it along: rollout → block reference → fields.

    Holds secrets, sealed. Either verb may raise anything.
    """

    async def keep(self, routes: Mapping[str, Mapping[str, Fields]]) -> None:
        """In place of what was kept before."""

    async def kept(self) -> Mapping[str, Mapping[str, Fields]]: ...


class Alarm:
    """The guard's own: without a journal it can bring nobody back, so that somebody must know."""

    def __init__(self, stores: Stores, opener: Opener, following: Following, routes: Routes | None) -> None:
        self.stores = stores
        self.opener = opener
        self.following = following
        self.routes = routes
        self._under_way: dict[str, Mapping[str, Fields]] | None = None
        self._kept: dict[str, Mapping[str, Fields]] | None = None
        self._silence = Silence(stores.clock)
        self._paged_at = float("-inf")

    async def heard(self, locks: Sequence[Lock]) -> None:
        """The journal answered: who would have to be woken is remembered, from preflight on. Raises nothing."""
        self.answered("read")
        known, rollouts = self._under_way or {}, {lock.rollout for lock in locks}
        found = {rollout: fields for rollout, fields in known.items() if rollout in rollouts}
        for rollout in sorted(rollouts - found.keys()):
            # Nothing is sealed yet, or one journal is broken: no single rollout may end the guard of the others.
            with contextlib.suppress(Exception):
                found[rollout] = await self._sealed(rollout)
        self._under_way = found
        if self.routes and found != self._kept:
            # A disk that is full takes nothing: tried again at the next look, and remembered here meanwhile.
            with contextlib.suppress(Exception):
                await self.routes.keep(found)
                self._kept = found

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
        under_way = await self._known()
        paging = (self._page(name, fields, for_seconds) for name, fields in under_way.items())
        await asyncio.gather(*paging, return_exceptions=True)

    async def _known(self) -> Mapping[str, Mapping[str, Fields]]:
        """As the journal told it, or, when it never answered this process, as an earlier one has kept it."""
        if self._under_way is None and self.routes:
            with contextlib.suppress(Exception):
                return await self.routes.kept()
        return self._under_way or {}

    async def _sealed(self, rollout: str) -> Mapping[str, Fields]:
        state = await self.following.of(rollout)
        plan = parse_plan((await stored_plan(self.stores.journal, state.plan_hash)).body)
        sealed = await self.stores.vault.open(rollout)
        return {ref: sealed[ref] for ref in plan.notify.page}

    async def _page(self, rollout: str, fields: Mapping[str, Fields], for_seconds: float) -> None:
        async def spooled(event: Event) -> None:
            entry = event.entry(self.stores.clock.now())
            await asyncio.to_thread(self.stores.spool.add, rollout, [entry])

        routes = open_notifiers(fields, fields, self.opener)
        desk = Desk(self.stores.clock, rollout, {}, routes, spooled)
        what = (
            f"the journal has not answered the guard for {for_seconds:.0f} s: a conductor that dies now is not replaced"
        )
        try:
            # A spool that is full is the lesser trouble: the page is out.
            with contextlib.suppress(JournalUnavailable):
                await desk.page_now(f"{rollout}:guard-journal", f"{what}. See to it that CANARY_JOURNAL_URL answers")
        finally:
            await asyncio.gather(*(route.close() for route in routes.values()), return_exceptions=True)
