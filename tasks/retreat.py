"""What the rollback subflow shows: exposure 0 seen on every target, and the end of the rollout."""

from __future__ import annotations

from prefect import task

from canary.rollout.conductor import Conductor
from canary.tasks.foreign import own_words
from canary.tasks.policy import POLICY


@task(name="exposure 0", task_run_name="exposure 0 on every target", **POLICY)
@own_words
async def exposure_zero(conductor: Conductor) -> bool:
    """Lower again whatever still shows users; False, and somebody was paged, when it cannot be verified in time."""
    return await conductor.finish_rollback()
