"""One look of the watch, with all that follows from it: the line, the way back, the page, the thread."""

from __future__ import annotations

import contextlib

from canary.errors import CanaryError, Conflict, JournalUnavailable, MeasurementFailed
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.rollout.adapters import Adapters, Opener
from canary.rollout.by_hand import bring_back, sealed_adapters, superseded_by
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.desk import Desk
from canary.rollout.effects import lower_all
from canary.rollout.events import Event, RollbackAsked, WatchBlind, Watched
from canary.rollout.fired import changes
from canary.rollout.people import read_state
from canary.rollout.posting import append, post_to_thread
from canary.rollout.state import State
from canary.rollout.watch import look

WATCH = "the watch after full exposure"


async def watch_once(stores: Stores, rollout: str, number: int, opener: Opener) -> State:
    """Look once, journal it, go back when the plan says so, page for what is bad, tell the thread which alerts began or
    ended. The state afterwards.

    Each number is journaled once, however often it is asked; a rollout that a later one built upon is not looked at.
    Users come first: nobody is told before exposure 0 was sent. Raises UnknownRollout, VaultError, BadUsage when the
    credentials were dropped, JournalUnavailable.
    """
    state = await read_state(stores.journal, rollout)
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    if not _promoted(state) or number in state.watched or await superseded_by(stores, state):
        return state
    adapters = await sealed_adapters(stores, state, opener)
    try:
        seen = await _look(stores, plan, state, adapters, number)
        try:
            before = await _journaled(stores, rollout, seen)
            if before is None:
                return await read_state(stores.journal, rollout)
            if _goes_back(plan, seen):
                asked = RollbackAsked(by=WATCH, how="the plan's watch.then", reason=_bad(seen), proven=True)
                await bring_back(stores, rollout, asked, opener)
        except JournalUnavailable:
            # A FAIL in hand lowers, journal or not (promise I6).
            if _goes_back(plan, seen):
                await lower_all(stores.clock, adapters.targets, state.release, state.epoch)
            raise
        if (bad := _bad(seen)) and not _known(before):
            await _page(stores, before, adapters, bad)
        await _tell(stores, before, seen, opener)
    finally:
        await adapters.close()
    return await read_state(stores.journal, rollout)


def _promoted(state: State) -> bool:
    return state.ended is not None and state.ended.outcome == "promoted"


async def _look(stores: Stores, plan: Plan, state: State, adapters: Adapters, number: int) -> Watched | WatchBlind:
    try:
        seen = await look(plan, state, adapters.metrics, stores.clock)
    except MeasurementFailed as error:
        return WatchBlind(number=number, reason=error.what)
    block, verdict = seen.block.to_data(), seen.verdict.to_data()
    return Watched(
        number=number, block=block, verdict=verdict, seconds=seen.seconds, past=seen.past, alerts=seen.alerts
    )


def _goes_back(plan: Plan, seen: Watched | WatchBlind) -> bool:
    return isinstance(seen, Watched) and seen.failed and plan.watch is not None and plan.watch.on_fail == "rollback"


async def _journaled(stores: Stores, rollout: str, seen: Watched | WatchBlind) -> State | None:
    """The state before it; None when another run of the same number was faster, or the rollout went back meanwhile."""
    while True:
        state = await read_state(stores.journal, rollout)
        if seen.number in state.watched or not _promoted(state):
            return None
        try:
            await stores.journal.append(rollout, state.seq, [seen.entry(stores.clock.now())])
        except Conflict:
            continue
        return state


def _bad(seen: Watched | WatchBlind) -> str:
    """What somebody must be woken for, or "": a failed measurement too, since then nobody looks."""
    if isinstance(seen, WatchBlind):
        return f"the watch sees nothing: {seen.reason}"
    reason = str(seen.verdict["reason"]) if seen.failed else ""
    alerts = [alert.words(reason) for alert in seen.alerts if alert.wakes]
    return "; ".join([*([reason] if reason else []), *seen.past, *alerts])


async def _page(stores: Stores, state: State, adapters: Adapters, bad: str) -> None:
    async def journaled(event: Event) -> None:
        await append(stores, state.rollout, event)

    desk = Desk(stores.clock, state.rollout, {}, adapters.page, journaled)
    told = f"{state.service} {state.version}, for everybody: {bad}. Back: canary rollback {state.rollout} --reason …"
    await desk.page_now(_incident(state), told)


async def _tell(stores: Stores, before: State, seen: Watched | WatchBlind, opener: Opener) -> None:
    """Which alerts began or ended. A look that saw nothing does neither."""
    if isinstance(seen, Watched) and (changed := changes(before.alerts, seen.alerts)):
        # Nobody told is no reason to fail: the look is journaled, and the review shows its alerts again.
        with contextlib.suppress(CanaryError):
            await post_to_thread(stores, opener, before.rollout, f"watch {seen.number}: {changed}")


def _incident(state: State) -> str:
    return f"{state.rollout}:watch"


def _known(state: State) -> bool:
    """Whether it was as bad at the look before, and somebody has seen the page since."""
    return state.watch_bad and state.acknowledged_at > state.paged.get(_incident(state), float("inf"))
