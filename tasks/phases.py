"""One task per phase. Each asks the conductor to go on until the phase is over, and says where it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.runtime import task_run

from canary.plan.model import Phase
from canary.rollout.adapters import Adapters, Opener
from canary.rollout.conducting import Seat, pass_preflight
from canary.rollout.conductor import Conductor
from canary.rollout.preflight import Load
from canary.rollout.state import State
from canary.tasks.foreign import own_words
from canary.tasks.policy import POLICY


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """How a phase ended: passed, or on the way back (exposure 0 is sent by then), and why."""

    phase: str
    passed: bool
    reason: str


def _name() -> str:
    """What the Prefect UI shows: service, version and what is being done."""
    parameters: dict[str, Any] = task_run.get_parameters()
    state: State = _record_of(parameters).state
    phase = parameters.get("phase")
    step = phase.name if isinstance(phase, Phase) else "preflight"
    waits = " go-live" if task_run.get_task_name() == "approval" else ""
    return f"{state.service} {state.version} {step}{waits}"


def _record_of(parameters: dict[str, Any]) -> Any:
    return parameters["seat"].record if "seat" in parameters else parameters["conductor"].record


@task(name="preflight", task_run_name=_name, **POLICY)
@own_words
async def preflight(seat: Seat, load: Load, opener: Opener) -> Adapters:
    """Credentials found and sealed, targets reachable, the release fixed. Raises Refused: nothing was touched."""
    return await pass_preflight(seat, load, opener)


@task(name="approval", task_run_name=_name, **POLICY)
@own_words
async def approval(conductor: Conductor, phase: Phase) -> PhaseEnd:
    """Wait for the people whom the plan names; an abort or a breach meanwhile counts at once."""
    state = await conductor.await_approval(phase.name)
    reason = state.rollback.reason if state.rollback else "nobody needs to approve, or everybody has"
    return PhaseEnd(phase.name, state.rollback is None and state.ended is None, reason)


@task(name="staging", task_run_name=_name, **POLICY)
@own_words
async def staging(conductor: Conductor, phase: Phase) -> PhaseEnd:
    """The candidate at exposure 0, reached by internal users alone, looked at until the phase's time is over."""
    return await _phase(conductor, phase)


@task(name="canary", task_run_name=_name, **POLICY)
@own_words
async def canary(conductor: Conductor, phase: Phase) -> PhaseEnd:
    """Expose, verify, soak while judging. On a FAIL exposure 0 is sent before this returns."""
    return await _phase(conductor, phase)


@task(name="full", task_run_name=_name, **POLICY)
@own_words
async def full(conductor: Conductor, phase: Phase) -> PhaseEnd:
    """Everybody on the candidate, seen on every target."""
    return await _phase(conductor, phase)


async def _phase(conductor: Conductor, phase: Phase) -> PhaseEnd:
    state = await conductor.run_phase(phase.name)
    if phase.name in state.passed:
        return PhaseEnd(phase.name, True, "passed")
    reason = state.rollback.reason if state.rollback else "the rollout has ended"
    return PhaseEnd(phase.name, False, reason)
