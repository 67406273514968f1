"""The baseline that the last rollout of a service recorded: what the next one is compared with."""

from __future__ import annotations

from canary.ports import Journal
from canary.rollout.events import Baseline
from canary.rollout.people import readable


async def former_baseline(journal: Journal, service: str) -> Baseline | None:
    """Of the newest promoted rollout of the service that recorded one; None when none did."""
    async for state in readable(journal):
        promoted = state.ended is not None and state.ended.outcome == "promoted"
        done = state.closed.get("baseline")
        if state.service == service and promoted and done and done.ok:
            return Baseline.model_validate(done.data)
    return None
