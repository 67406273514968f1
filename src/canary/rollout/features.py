"""The smallest step back: one feature's flag, where every FAIL comes from that feature alone. Pure.

A FAIL is attributed by counting: each rule that fails counts bad events, and the same signal, narrowed to one
feature's endpoints or components, has counted every one of them. Latency, starvation and what several rules only show
together are attributed to no feature. Two features that explain the same events are none, too.

Recovery is shown as the judge shows things: at the rate at which the feature had caused bad events, so many were due
since that none at all would be seen by chance only with probability beta (a Poisson count of mean m is 0 with exp(-m)).
"""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from canary.judge.block import NONE
from canary.judge.evidence import Evidence
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.model import Phase, Plan
from canary.rollout.events import FeatureOffIntended
from canary.rollout.halts import FeatureOff
from canary.rollout.state import State

LEAST_BLOCKS = 4
"""Measured blocks before anything counts as recovered: bad events come in bursts."""


class Harm(NamedTuple):
    """What one feature did: the bad events of that measure, and how many a request of the candidate."""

    measure: str = ""
    rate: float = 0.0


NO_HARM = Harm()


def smallest_step(
    plan: Plan, phase: Phase, state: State, evidence: Evidence, verdict: PhaseVerdict
) -> FeatureOffIntended | None:
    """The feature to switch off for this FAIL, or None where everything must go back.

    `evidence` is what the verdict rests on. One that was switched off must have recovered before another one is.
    """
    if state.recovering:
        return None
    harms = {
        feature: harm
        for feature in plan.features
        if plan.switch_of(feature) and feature not in state.features_off
        for harm in [_harm(plan, phase, feature, evidence, verdict)]
        if harm
    }
    if len(harms) != 1:
        return None
    (feature, harm), *_ = harms.items()
    return switched_off(plan, state, feature, verdict.reason, harm)


def switched_off(plan: Plan, state: State, feature: str, why: str, harm: Harm = NO_HARM) -> FeatureOffIntended:
    """The intent: the flags that the candidate brings, as they are now, without this feature's."""
    target, flag = plan.switch_of(feature), plan.features[feature].flag
    assert target is not None
    assert flag is not None
    flags = {**json.loads(state.release[target].candidate), flag: False}
    return FeatureOffIntended(
        feature=feature,
        flag=flag,
        target=target,
        candidate=flags_as_identity(flags),
        why=why,
        measure=harm.measure,
        rate=harm.rate,
    )


def flags_as_identity(flags: dict[str, bool]) -> str:
    """Canonical JSON, as a target of flags names what it shows."""
    return json.dumps(flags, sort_keys=True, separators=(",", ":"))


def recovered(plan: Plan, state: State, off: FeatureOff) -> str | None:
    """How it shows that the candidate does no harm without the feature; None as long as it does not.

    Over what was measured since the feature was seen off: no rule fails, and of the bad events that were due none came.
    """
    evidence, verdict = state.evidence, state.verdict
    if verdict is None or verdict.outcome is Outcome.FAIL or evidence.measured < LEAST_BLOCKS:
        return None
    requests = (evidence.tally(plan.traffic, "canary") or NONE).total
    if not off.rate:
        return f"no rule fails over {requests:,.0f} canary requests since" if requests else None
    due, bad = off.rate * requests, (evidence.tally(off.measure, "canary") or NONE).bad
    if bad or due < -math.log(plan.beta):
        return None
    return f"of {due:,.0f} bad events that were due over {requests:,.0f} canary requests since, none came"


def _harm(plan: Plan, phase: Phase, feature: str, evidence: Evidence, verdict: PhaseVerdict) -> Harm | None:
    """What the feature did, when it did all of it."""
    failed = [each for each in verdict.verdicts if each.outcome is Outcome.FAIL]
    rules = {(rule.text, rule.measure) for rule in (*phase.criteria, *phase.triggers)}
    harms = [_own(plan, feature, each, evidence) if (each.rule, each.measure) in rules else None for each in failed]
    known = [harm for harm in harms if harm]
    return max(known, key=lambda harm: harm.rate) if known and len(known) == len(harms) else None


def _own(plan: Plan, feature: str, verdict: Verdict, evidence: Evidence) -> Harm | None:
    """Of one rule that fails: the feature's bad events, when there are no others."""
    measure = f"{verdict.measure.partition(' on ')[0]} on {feature}"
    own, every = evidence.tally(measure, "canary"), evidence.tally(verdict.measure, "canary")
    requests = (evidence.tally(plan.traffic, "canary") or NONE).total
    if own is None or every is None or not own.bad or own.bad != every.bad or not requests:
        return None
    return Harm(measure, own.bad / requests)
