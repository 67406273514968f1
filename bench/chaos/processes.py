"""The processes of a run, on the real code: the flow's order without Prefect, guards, and people's commands."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import canary.rollout.conducting as conducting_module
from bench.chaos.life import CURRENT
from canary.errors import BadUsage, CanaryError, JournalUnavailable, LeaseLost
from canary.guard import Guard
from canary.plan.model import Phase
from canary.rollout import events as e
from canary.rollout.adapters import Opener
from canary.rollout.by_hand import bring_back
from canary.rollout.conducting import Start, Stores, begin, conducting, pass_preflight, refuse, taking
from canary.rollout.conductor import Conductor
from canary.rollout.judging import JudgeOf
from canary.rollout.people import enter, read_state
from canary.rollout.reviving import Runs
from canary.tasks.foreign import kind_and_place

ROLLOUT, VERSION, HASH = "r1", "2.0.0", "a" * 64
RETRIES, RETRY_AFTER = 3, 2.0
"""As canary.tasks.policy retries a task."""
PERSON = {"by": "Olga", "how": "a simulation", "reason": "as written"}

conducting_module.holder = lambda: CURRENT.get().name


async def load(ref: str) -> Mapping[str, Any]:
    """The fields of any block."""
    return {"token": "t"}


async def conduct(stores: Stores, opener: Opener, judge_of: JudgeOf) -> None:
    """What flows/rollout does, step by step."""
    await begin(stores, Start(ROLLOUT, HASH, VERSION, "Ann", "a simulation"))
    if (await read_state(stores.journal, ROLLOUT)).ended:
        return
    async with taking(stores, ROLLOUT) as seat:
        try:
            adapters = await retried(stores, lambda: pass_preflight(seat, load, opener))
        except CanaryError as error:
            await refuse(seat, error)
            return
        async with conducting(seat, adapters, judge_of) as conductor:
            await _to_its_end(stores, conductor)


async def _to_its_end(stores: Stores, conductor: Conductor) -> None:
    try:
        if await _forward(stores, conductor):
            return
    except (LeaseLost, JournalUnavailable):
        raise
    except Exception as error:
        why = error.what if isinstance(error, CanaryError) else kind_and_place(error)
        await conductor.roll_back("conductor", f"the conductor failed: {why}")
    await retried(stores, conductor.finish_rollback)


async def _forward(stores: Stores, conductor: Conductor) -> bool:
    for phase in conductor.plan.phases:
        if not await _phase(stores, conductor, phase):
            return False
    for step in conductor.plan.closing:
        if (await retried(stores, lambda step=step: conductor.close(step))).rollback:  # type: ignore[misc]
            return False
    await conductor.promote()
    return True


async def _phase(stores: Stores, conductor: Conductor, phase: Phase) -> bool:
    if phase.approval:
        state = await retried(stores, lambda: conductor.await_approval(phase.name))
        if state.rollback or state.ended:
            return False
    return phase.name in (await retried(stores, lambda: conductor.run_phase(phase.name))).passed


async def retried(stores: Stores, work: Callable[[], Awaitable[Any]]) -> Any:
    """As a task does it: what would fail again is not tried again."""
    for left in range(RETRIES, -1, -1):
        try:
            return await work()
        except (BadUsage, LeaseLost):
            raise
        except Exception:
            if not left:
                raise
            await stores.clock.sleep(RETRY_AFTER)
    raise AssertionError


async def guard(stores: Stores, opener: Opener, runs: Runs) -> None:
    """For ever."""
    await Guard(stores, opener, (), runs).watch()


async def approve(stores: Stores) -> None:
    """By everybody who is asked, once each; one who meets a silent journal tries again."""
    while True:
        try:
            state = await read_state(stores.journal, ROLLOUT)
            asked = state.approval
            if asked is None or not asked.missing:
                return
            given = e.ApprovalGiven(role=asked.missing[0], subject=asked.subject, **PERSON)
            await enter(stores.journal, stores.clock, ROLLOUT, given)
        except JournalUnavailable:
            await stores.clock.sleep(1.0)
        except BadUsage:
            return


def decision(what: str) -> e.Decision:
    """A person's line."""
    match what:
        case "abort":
            return e.AbortAsked(**PERSON)
        case "hold":
            return e.HoldAsked(**PERSON)
        case "resume":
            return e.ResumeAsked(**PERSON)
        case "promote":
            return e.PromoteAsked(**PERSON)
        case "extend":
            return e.ExtendAsked(seconds=60.0, **PERSON)
        case "reject":
            return e.ApprovalRejected(role="owner", **PERSON)
        case _:
            return e.PageAcknowledged(**PERSON)


async def say(stores: Stores, opener: Opener, what: str) -> None:
    """A person's command; one that is refused, or meets a silent journal, is given up."""
    with contextlib.suppress(BadUsage, JournalUnavailable):
        if what == "rollback":
            await bring_back(stores, ROLLOUT, e.RollbackAsked(**PERSON), opener)
        else:
            await enter(stores.journal, stores.clock, ROLLOUT, decision(what))
