"""A plan's backtests in the journal: what one found is recorded, and a plan may demand that it passed.

A backtest belongs to the rules, the signals behind them, and how sure the judge must be: the plan's other parts may
change without a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from canary.errors import Conflict, Refused
from canary.judge.backtest.paths import Span
from canary.judge.backtest.same import Judged
from canary.judge.terms import BLOCK
from canary.plan.model import Phase, Plan
from canary.plan.problems import canonical
from canary.ports import BACKTESTS, Clock, Journal, NewEntry
from canary.rollout.judging import terms_of

TYPE, TRIES = "backtested", 10


def judged_phases(plan: Plan) -> tuple[Judged, ...]:
    """The phases in which some users have the candidate and there is something to judge. Each one's judge also folds
    what the earlier ones have measured."""
    found, before = [], 0
    for phase in plan.phases:
        if not 0 < phase.exposure < 1:
            continue
        own = int((phase.duration or 0.0) // BLOCK)
        rules = (*phase.criteria, *phase.triggers)
        if rules and own:
            found.append(Judged(phase.name, rules, terms_of(plan, phase), Span(before, own)))
        before += own
    return tuple(found)


def rules_hash(plan: Plan) -> str:
    """sha256, hex, of all that a backtest depends on."""
    phases = [_said(plan, phase) for phase in plan.phases if 0 < phase.exposure < 1]
    return hashlib.sha256(canonical({"service": plan.service, "phases": phases}).encode()).hexdigest()


def _said(plan: Plan, phase: Phase) -> Mapping[str, Any]:
    rules = [[type(rule).__name__, asdict(rule)] for rule in (*phase.criteria, *phase.triggers)]
    terms = terms_of(plan, phase)
    settle = None if terms.settle is None else asdict(terms.settle)
    signals = {measure: plan.measures(phase)[measure].model_dump(mode="json") for measure in plan.judged(phase)}
    sure = [terms.alpha, terms.beta, settle, phase.duration]
    return {"name": phase.name, "rules": rules, "signals": signals, "terms": sure}


async def record(journal: Journal, clock: Clock, plan: Plan, found: Mapping[str, Any]) -> None:
    """Append what a backtest of the plan's rules found: JSON data with `passes`. Raises JournalUnavailable."""
    stream = f"{BACKTESTS}{rules_hash(plan)}"
    for _ in range(TRIES):
        after = len(await journal.read(stream))
        try:
            await journal.append(stream, after, [NewEntry(clock.now(), TYPE, found)])
        except Conflict:
            continue
        return
    raise Conflict("backtests of this plan are being recorded too fast", "try again")


async def insist_on_backtest(plan: Plan, journal: Journal) -> None:
    """Raises Refused when the plan demands a backtest and the newest of its rules did not pass, or there is none."""
    if plan.backtest is None:
        return
    entries = await journal.read(f"{BACKTESTS}{rules_hash(plan)}")
    if entries and entries[-1].data.get("passes") is True:
        return
    told = "the newest one did not pass" if entries else "there is none of these rules in this journal"
    raise Refused(
        f"plan {plan.name} demands a passing backtest, and {told}",
        "run one: canary plan backtest PLAN --history EXPORT (CANARY_JOURNAL_URL must be the same for both)",
    )
