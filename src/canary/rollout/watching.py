"""One look of the watch, with all that follows from it: the line, the page, the way back."""

from __future__ import annotations

from canary.errors import MeasurementFailed
from canary.judge.verdict import Outcome
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.rollout.adapters import Adapters, Opener
from canary.rollout.by_hand import bring_back, sealed_adapters
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.desk import Desk
from canary.rollout.events import Event, RollbackAsked, WatchBlind, Watched
from canary.rollout.people import read_state
from canary.rollout.posting import append
from canary.rollout.state import State
from canary.rollout.watch import look

WATCH = "the watch after full exposure"


async def watch_once(stores: Stores, rollout: str, number: int, opener: Opener) -> State:
    """Look once, journal it, page for what is bad, and go back when the plan says so. The state afterwards.

    Each number looks once, however often it is asked. Raises UnknownRollout, VaultError, BadUsage when the
    credentials were dropped, JournalUnavailable.
    """
    state = await read_state(stores.journal, rollout)
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    if not _promoted(state) or number in state.watched:
        return state
    adapters = await sealed_adapters(stores, state, opener)
    try:
        seen = await _look(stores, plan, state, adapters, number)
        await append(stores, rollout, seen)
        if (bad := _bad(seen)) and not _known(state):
            await _page(stores, state, adapters, bad)
    finally:
        await adapters.close()
    if isinstance(seen, Watched) and _failed(seen) and plan.watch and plan.watch.on_fail == "rollback":
        asked = RollbackAsked(by=WATCH, how="the plan's watch.then", reason=_bad(seen), proven=True)
        return await bring_back(stores, rollout, asked, opener)
    return await read_state(stores.journal, rollout)


def _promoted(state: State) -> bool:
    return state.ended is not None and state.ended.outcome == "promoted"


async def _look(stores: Stores, plan: Plan, state: State, adapters: Adapters, number: int) -> Watched | WatchBlind:
    try:
        seen = await look(plan, state, adapters.metrics, stores.clock)
    except MeasurementFailed as error:
        return WatchBlind(number=number, reason=error.what)
    block, verdict = seen.block.to_data(), seen.verdict.to_data()
    return Watched(number=number, block=block, verdict=verdict, seconds=seen.seconds, past=seen.past)


def _failed(seen: Watched) -> bool:
    return str(seen.verdict["outcome"]) == Outcome.FAIL


def _bad(seen: Watched | WatchBlind) -> str:
    """What somebody must be woken for, or "": a failed measurement too, since then nobody looks."""
    if isinstance(seen, WatchBlind):
        return f"the watch sees nothing: {seen.reason}"
    return "; ".join([*([str(seen.verdict["reason"])] if _failed(seen) else []), *seen.past])


async def _page(stores: Stores, state: State, adapters: Adapters, bad: str) -> None:
    async def journaled(event: Event) -> None:
        await append(stores, state.rollout, event)

    desk = Desk(stores.clock, state.rollout, {}, adapters.page, journaled)
    told = f"{state.service} {state.version}, for everybody: {bad}. Back: canary rollback {state.rollout} --reason …"
    await desk.page_now(_incident(state), told)


def _incident(state: State) -> str:
    return f"{state.rollout}:watch"


def _known(state: State) -> bool:
    """Whether it was as bad at the look before, and somebody has seen the page since."""
    return state.watch_bad and state.acknowledged_at > state.paged.get(_incident(state), float("inf"))
