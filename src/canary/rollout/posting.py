"""A line into a rollout's thread by a process that does not conduct it: an alert, or a review a day later."""

from __future__ import annotations

import asyncio

from canary.errors import Conflict
from canary.plan.load import parse_plan
from canary.rollout.adapters import Opener, open_notifiers
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.desk import Desk
from canary.rollout.events import Event
from canary.rollout.people import read_state


async def post_to_thread(stores: Stores, opener: Opener, rollout: str, message: str) -> None:
    """Tell every route for updates, in the thread that the journal knows.

    A route that fails is passed over. Raises UnknownRollout, VaultError when the credentials are gone,
    JournalUnavailable.
    """
    state = await read_state(stores.journal, rollout)
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    updates = open_notifiers(plan.notify.updates, await stores.vault.open(rollout), opener)

    async def journaled(event: Event) -> None:
        await append(stores, rollout, event)

    try:
        await Desk(stores.clock, rollout, updates, {}, journaled, state.threads).tell(message)
    finally:
        await asyncio.gather(*(notifier.close() for notifier in updates.values()), return_exceptions=True)


async def append(stores: Stores, rollout: str, event: Event) -> None:
    """Behind whatever stands there. Raises JournalUnavailable."""
    while True:
        state = await read_state(stores.journal, rollout)
        try:
            await stores.journal.append(rollout, state.seq, [event.entry(stores.clock.now())])
        except Conflict:
            continue
        return
