"""Looking on after full exposure: what happened since the last look, judged by the limits of the canary.

Nobody is on the stable version any more, so there is nothing to compare with but the past. Such comparisons are
labelled so, and only page. The plan's alerts are held against the same measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block, Evidence
from canary.judge.literal import LiteralJudge
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.model import OfBaseline, Phase, Plan, Rule
from canary.ports import Arm, Clock, Increment, Metrics, Scrape
from canary.rollout.alerting import alerts_at
from canary.rollout.fired import FiredAlert
from canary.rollout.measure import BLOCK
from canary.rollout.past import against_past
from canary.rollout.state import State
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

GLANCE_BLOCKS = 4
"""Blocks for which a source that remembers nothing is looked at: one that keeps its samples tells of the whole time."""


NOTHING_DONE = "no completed request since the last look, though everybody is on the candidate"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. seconds: how much of the time since the last look was seen; past: slower than before.

    alerts: those that fire, and those that fired before and of which this look cannot tell.
    """

    block: Block
    verdict: PhaseVerdict
    seconds: float
    past: tuple[str, ...]
    alerts: tuple[FiredAlert, ...]


async def look(plan: Plan, state: State, metrics: Metrics, clock: Clock) -> Look:
    """Since the last look, or since the end of the rollout. Raises MeasurementFailed."""
    since, until = max(state.watched_at, state.ended_at), clock.now()
    scrapes = await _read(plan, state, metrics, clock, since, until)
    if not _completed(plan, scrapes):
        # The first read of a source without a memory only gives the next one something to count from.
        since = clock.now()
        await clock.sleep(max(plan.seconds(GLANCE_BLOCKS * BLOCK), GLANCE_BLOCKS * 0.25))
        until = clock.now()
        scrapes = await _read(plan, state, metrics, clock, since, until)
    judged = frozenset(plan.judged(_judged_last(plan)))
    block = Block.of(until, [_candidate_only(scrape) for scrape in scrapes], judged=judged)
    evidence = Evidence().add(block)
    verdict = LiteralJudge().judge(*limits(plan), evidence, traffic=plan.traffic)
    past, alerts = tuple(_slower(plan, state, evidence)), alerts_at(plan, state, block)
    return Look(block, _silence(plan, block, verdict), until - since, past, alerts)


def limits(plan: Plan) -> tuple[Sequence[Rule], Sequence[Rule]]:
    """Criteria and triggers of the canary that need nobody to compare with."""
    phase = _judged_last(plan)
    criteria, triggers = (
        tuple(rule for rule in rules if not isinstance(rule, OfBaseline)) for rules in (phase.criteria, phase.triggers)
    )
    return criteria, triggers


async def _read(
    plan: Plan, state: State, metrics: Metrics, clock: Clock, since: float, until: float
) -> Sequence[Scrape]:
    arms = plan.arms.resolve(state.version, state.stable_version)
    read = metrics.read(plan.measures(_judged_last(plan)), arms, since, until)
    try:
        return await within(clock, PROVIDER_TIMEOUT, read)
    except TimeoutError:
        raise MeasurementFailed(f"no answer within {PROVIDER_TIMEOUT:.0f} s") from None


def _judged_last(plan: Plan) -> Phase:
    return next(phase for phase in reversed(plan.phases) if phase.criteria)


def _completed(plan: Plan, scrapes: Sequence[Scrape]) -> float:
    """Requests that the candidate finished."""
    return sum(arms["canary"].total for s in scrapes if "canary" in (arms := s.signals.get(plan.traffic, {})))


def _candidate_only(scrape: Scrape) -> Scrape:
    """What the old version's last instances still count is not what users meet."""
    kept: dict[str, dict[Arm, Increment]] = {
        name: {"canary": arms["canary"]} for name, arms in scrape.signals.items() if "canary" in arms
    }
    return Scrape(scrape.at, kept)


def _silence(plan: Plan, block: Block, verdict: PhaseVerdict) -> PhaseVerdict:
    """Everybody is on the candidate: when nothing completes there, nothing completes at all."""
    served: Mapping[Arm, Increment] = block.increments.get(plan.traffic, {})
    if verdict.outcome is Outcome.FAIL or (served and served["canary"].total > 0):
        return verdict
    silent = Verdict("silence", plan.traffic, Outcome.FAIL, 0.0, None, "requests", None, None, NOTHING_DONE)
    return PhaseVerdict.of([*verdict.verdicts, silent])


def _slower(plan: Plan, state: State, evidence: Evidence) -> Iterator[str]:
    """Where a comparison of the canary would fire against what the rollout before recorded, taken literally."""
    for rule in _judged_last(plan).triggers:
        if isinstance(rule, OfBaseline):
            compared = against_past(rule, state.former, evidence)
            if compared and compared.slower:
                yield compared.reason
