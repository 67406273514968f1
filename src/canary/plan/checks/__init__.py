"""What a plan of the right shape can still get wrong: names, order, and what targets cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from canary.plan.checks.addresses import addresses
from canary.plan.checks.closing import closing
from canary.plan.checks.phases import phases
from canary.plan.checks.references import references
from canary.plan.checks.rules import rules
from canary.plan.checks.targets import targets
from canary.plan.checks.watching import watching
from canary.plan.checks.whole import arms, backtest, checklist, signals, skipped, times
from canary.plan.model import Plan
from canary.plan.problems import Problem

_CHECKS: tuple[Callable[[Plan], Iterator[Problem]], ...] = (
    references,
    targets,
    arms,
    signals,
    checklist,
    skipped,
    times,
    backtest,
    phases,
    rules,
    closing,
    watching,
    addresses,
)


def check(plan: Plan) -> list[Problem]:
    """Every problem of the plan that needs no platform to be seen."""
    return [problem for found in _CHECKS for problem in found(plan)]
