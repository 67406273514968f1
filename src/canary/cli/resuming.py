"""Conducting from this process: the same conductor, without Prefect around it."""

from __future__ import annotations

from canary.cli.following import tell
from canary.rollout.adapters import Opener
from canary.rollout.by_hand import sealed_adapters
from canary.rollout.conducting import Stores, conducting, taking
from canary.rollout.conductor import Conductor
from canary.rollout.state import State


async def conduct_here(stores: Stores, rollout: str, opener: Opener) -> State:
    """Take the rollout up where its journal ends, and conduct it to its end.

    Raises LeaseLost while another conductor lives, VaultError, UnknownRollout.
    """
    async with taking(stores, rollout, (tell,)) as seat:
        adapters = await sealed_adapters(stores, seat.record.state, opener)
        async with conducting(seat, adapters) as conductor:
            await _to_the_end(conductor)
            return conductor.state


async def _to_the_end(conductor: Conductor) -> None:
    for phase in conductor.plan.phases:
        await conductor.await_approval(phase.name)
        state = await conductor.run_phase(phase.name)
        if state.rollback:
            await conductor.finish_rollback()
            return
    await conductor.promote()
