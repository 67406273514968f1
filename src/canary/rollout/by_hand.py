"""Bringing a rollout back without its conductor: what the guard and a person's rollback have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from canary.errors import BadUsage, LeaseLost, ServiceBusy, VaultError
from canary.plan.load import parse_plan
from canary.rollout.adapters import Adapters, Fields, Opener, open_adapters
from canary.rollout.conducting import Stores, conducting, stored_plan, taking
from canary.rollout.effects import lower_all
from canary.rollout.events import Cause, FeatureOffAsked, RollbackAsked
from canary.rollout.lease import LEASE
from canary.rollout.people import enter, read_state, readable
from canary.rollout.record import Listener
from canary.rollout.state import State

LOOK_EVERY = 0.5
CONDUCTOR_FINISHES_WITHIN = 60.0
"""Seconds in which a living conductor should have verified the rollback that it was asked for."""


async def bring_back(stores: Stores, rollout: str, asked: RollbackAsked, opener: Opener) -> State:
    """Exposure 0 on every target, sent at once and verified; the state in which the rollout ended.

    Needs journal and vault alone. The request is journaled, exposure 0 is sent whoever conducts, and then either
    the living conductor finishes or this process takes its place. Raises UnknownRollout, BadUsage when the rollout
    has ended otherwise or a later one has changed the service since, VaultError when its credentials cannot be opened.
    """
    state = await read_state(stores.journal, rollout)
    if state.ended and state.ended.outcome == "promoted":
        await _newest_of_its_service(stores, state)
        # Users come first, whoever has the service: then it is asked for without the lock.
        with contextlib.suppress(LeaseLost, ServiceBusy):
            return await _reopen(stores, state, asked, opener)
        state = await read_state(stores.journal, rollout)
    if not (state.rollback and not state.ended):
        state = await enter(stores.journal, stores.clock, rollout, asked)
    try:
        await _lower(stores, state, opener)
        return await _ended(stores, rollout, asked, opener)
    except VaultError:
        # The living conductor may have ended it in this moment, and dropped what it was brought back with.
        state = await read_state(stores.journal, rollout)
        if not state.ended:
            raise
        return state


async def _ended(stores: Stores, rollout: str, asked: RollbackAsked, opener: Opener) -> State:
    """The state at its end, by the living conductor or in its place; unended when neither comes to it in time."""
    until = stores.clock.monotonic() + CONDUCTOR_FINISHES_WITHIN + LEASE
    while True:
        state = await read_state(stores.journal, rollout)
        if state.ended or stores.clock.monotonic() >= until:
            return state
        with contextlib.suppress(LeaseLost, ServiceBusy):
            return await finish(stores, rollout, opener, "abort", _because(asked))
        await stores.clock.sleep(LOOK_EVERY)


async def _reopen(stores: Stores, promoted: State, asked: RollbackAsked, opener: Opener) -> State:
    """The lock before the request: should this process die behind it, the guard finds both, and carries it out.

    Raises LeaseLost while somebody else is at it, and ServiceBusy while another rollout has the service.
    """
    # Opened first: what cannot be brought back any more stays promoted.
    sealed = await _sealed(stores, promoted)
    async with taking(stores, promoted.rollout) as seat:
        adapters = open_adapters(seat.plan, sealed, opener)
        async with conducting(seat, adapters) as conductor:
            await enter(stores.journal, stores.clock, promoted.rollout, asked)
            await conductor.record.refresh()
            await conductor.roll_back("abort", _because(asked))
            await conductor.finish_rollback()
            return conductor.state


def _because(asked: RollbackAsked) -> str:
    return f"rollback by {asked.by}: {asked.reason}"


async def finish(
    stores: Stores, rollout: str, opener: Opener, cause: Cause, reason: str, listeners: tuple[Listener, ...] = ()
) -> State:
    """Take the rollout's lock and bring it back. Raises LeaseLost while a conductor lives, VaultError."""
    # Opened first: who cannot send anything must not take the lock, nor leave a line a second trying to.
    sealed = await stores.vault.open(rollout)
    async with taking(stores, rollout, listeners) as seat:
        adapters = open_adapters(seat.plan, sealed, opener)
        async with conducting(seat, adapters) as conductor:
            if not conductor.state.rollback:
                await conductor.roll_back(cause, reason)
            await conductor.finish_rollback()
            return conductor.state


async def _newest_of_its_service(stores: Stores, state: State) -> None:
    """Raises BadUsage: to bring back what a later rollout built upon would undo that one too."""
    if (later := await superseded_by(stores, state)) is not None:
        raise BadUsage(
            f"{later} has rolled {state.service} out since: {state.rollout} cannot be brought back alone",
            f"bring the later one back: canary rollback {later} --reason '…'",
        )


async def superseded_by(stores: Stores, state: State) -> str | None:
    """The later rollout that has changed the service since, or None."""
    async for later in readable(stores.journal):
        if later.rollout == state.rollout:
            return None
        if later.service == state.service and stays(later):
            return later.rollout
    return None


def stays(state: State) -> bool:
    """Whether the rollout changes its service still, or changed it for good."""
    return bool(state.release) and not (state.ended and state.ended.outcome in ("rolled_back", "refused"))


async def _lower(stores: Stores, state: State, opener: Opener) -> None:
    """Lowering needs neither lease nor intent (promise I6): it is sent before anything else is waited for."""
    if not state.release:
        return
    adapters = await sealed_adapters(stores, state, opener)
    try:
        await lower_all(stores.clock, adapters.targets, state.release, state.epoch)
    finally:
        await adapters.close()


async def sealed_adapters(stores: Stores, state: State, opener: Opener) -> Adapters:
    """From the vault. Raises VaultError, saying what to do when the credentials are gone."""
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    return open_adapters(plan, await _sealed(stores, state), opener)


async def _sealed(stores: Stores, state: State) -> Mapping[str, Fields]:
    """Raises VaultError, and BadUsage when the credentials of a promoted rollout were dropped."""
    try:
        return await stores.vault.open(state.rollout)
    except VaultError as error:
        if state.ended and state.ended.outcome == "promoted":
            raise BadUsage(
                f"the rollback window of {state.rollout} is closed: its credentials were dropped",
                "roll the former version out with: canary start PLAN --version VERSION",
            ) from error
        raise


async def switch_off(stores: Stores, rollout: str, asked: FeatureOffAsked) -> State:
    """Ask the conductor to switch one feature off; the state after the request.

    Raises UnknownRollout, and BadUsage when that feature cannot be switched off by itself, or not now.
    """
    state = await read_state(stores.journal, rollout)
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    if asked.feature not in plan.features:
        raise BadUsage(f"the plan has no feature {asked.feature!r}", f"it has: {', '.join(plan.features) or 'none'}")
    if plan.switch_of(asked.feature) is None:
        raise BadUsage(
            f"no target of the plan switches {asked.feature} by itself: its flag is in no target's set",
            f"bring everything back: canary rollback {rollout} --reason '…'",
        )
    if asked.feature in state.features_off:
        raise BadUsage(f"{asked.feature} is switched off already", f"see: canary status {rollout}")
    return await enter(stores.journal, stores.clock, rollout, asked)
