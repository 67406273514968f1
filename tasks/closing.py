"""What is done once everybody has the candidate: one task per step of the plan's closing."""

from __future__ import annotations

from prefect import task
from prefect.runtime import task_run

from canary.plan.model import Step
from canary.rollout.conductor import Conductor
from canary.tasks.foreign import own_words
from canary.tasks.policy import POLICY


def _name() -> str:
    return f"closing: {task_run.get_parameters()['step']}"


@task(name="closing", task_run_name=_name, **POLICY)
@own_words
async def step(conductor: Conductor, step: Step) -> bool:
    """Done, or given up and said so. False when the rollout is on its way back meanwhile."""
    state = await conductor.close(step)
    return state.rollback is None
