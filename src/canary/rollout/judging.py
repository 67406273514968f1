"""The judge of one phase, by what the plan says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from canary.judge.literal import Judge
from canary.judge.sequential import SequentialJudge
from canary.judge.terms import Settle, Terms
from canary.plan.model import Phase, Plan
from canary.rollout.measure import BLOCK

JudgeOf = Callable[[Plan, Phase], Judge]
"""Makes the judge of a phase."""


def judge_of(plan: Plan, phase: Phase) -> SequentialJudge:
    """How sure it must be comes from the phase, else from the plan."""
    return SequentialJudge(terms_of(plan, phase))


def terms_of(plan: Plan, phase: Phase) -> Terms:
    """Everything that the plan says about judging the phase, beside its rules."""
    before = [each for each in plan.phases[: plan.phases.index(phase)] if each.exposure and each.criteria]
    windows = {
        measure: signal.window / 60 for measure, signal in plan.measures(phase).items() if signal.window is not None
    }
    return Terms(
        alpha=plan.alpha if phase.alpha is None else phase.alpha,
        beta=plan.beta if phase.beta is None else phase.beta,
        settle=_settle(phase),
        earlier=tuple(replace(terms_of(plan, each), earlier=()) for each in before),
        pace=plan.time_scale,
        horizon=int((phase.duration or 0.0) // BLOCK),
        windows=windows,
    )


def _settle(phase: Phase) -> Settle | None:
    return None if phase.settle is None else Settle(phase.settle.seconds, phase.settle.at_most)
