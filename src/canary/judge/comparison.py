"""The canary's quantile against the baseline's, of the same minutes."""

from __future__ import annotations

import math

from canary.judge.block import NONE, Tally
from canary.judge.buckets import Quantile, quantile_of, whole
from canary.judge.evidence import Evidence
from canary.judge.limits import exact
from canary.judge.verdict import Outcome, Verdict
from canary.judge.words import count, percent, seconds
from canary.judge.words import quantile as spoken
from canary.plan.model import OfBaseline

P95 = 0.95
"""The quantile that is compared when the rule names none."""
LEAST = 500
BEYOND = 25


def floor_of(quantile: float) -> int:
    """Observations that each arm needs: 25 beyond the quantile, and at least 500 (p95: 500, p99: 2,500).

    The noise of a quantile is that of the few observations beyond it. With 25 beyond p95 and an exponential
    tail its standard error is 6.5 %, so that 20 % slower is two to three standard errors.
    """
    return max(LEAST, math.ceil(BEYOND / (1 - exact(quantile))))


def slower(rule: OfBaseline, evidence: Evidence) -> Verdict:
    """FAIL when the canary's quantile is more than (1 + by) times the baseline's, both interpolated alike."""
    canary, baseline = (whole(evidence.tally(rule.measure, arm) or NONE) for arm in ("canary", "baseline"))
    quantile = rule.quantile or P95
    ours, theirs = quantile_of(canary, quantile), quantile_of(baseline, quantile)
    outcome, why = _unfit(quantile, canary, baseline) or _compared(rule.by, ours, theirs)
    limit = (1 + rule.by) * theirs.value if theirs and theirs.value is not None else None
    value = ours.value if ours else None
    reason = f"{rule.measure} {spoken(quantile)}: {why}"
    return Verdict(rule.text, rule.measure, outcome, value, limit, "seconds", canary, baseline, reason)


def _unfit(quantile: float, canary: Tally, baseline: Tally) -> tuple[Outcome, str] | None:
    """Why the two cannot be compared, or None when they can."""
    floor = floor_of(quantile)
    for arm, tally in (("canary", canary), ("baseline", baseline)):
        if not tally.total:
            return Outcome.NO_DATA, f"not one request of the {arm} was measured"
    for arm, tally in (("canary", canary), ("baseline", baseline)):
        if tally.total < floor:
            told = f"{count(tally.total)} {arm} requests are too few to compare, {count(floor)} are needed"
            return Outcome.UNDECIDED, told
    if canary.buckets.keys() != baseline.buckets.keys():
        return Outcome.UNDECIDED, "canary and baseline have different buckets and cannot be compared"
    return None


def _compared(by: float, ours: Quantile | None, theirs: Quantile | None) -> tuple[Outcome, str]:
    if ours is None or theirs is None:
        return Outcome.UNDECIDED, "the histogram has no buckets to compare"
    said = f"{ours} on the canary, {theirs} on the baseline"
    if theirs.value is None:
        outcome = Outcome.UNDECIDED if ours.value is None else Outcome.PASS
        return (
            outcome,
            f"{said}, whose {'buckets do not reach far enough' if ours.value is None else 'is slower'}",
        )
    limit = (1 + by) * theirs.value
    at_least = ours.last if ours.value is None else ours.value
    if at_least > limit:
        return Outcome.FAIL, f"{said}: more than {percent(by)} slower"
    if ours.value is None:
        return (
            Outcome.UNDECIDED,
            f"{said}: no bucket reaches {seconds(limit)}, where {percent(by)} slower begins",
        )
    return Outcome.PASS, f"{said}: not more than {percent(by)} slower"
