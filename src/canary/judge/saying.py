"""Statistical verdicts and their sentence: what was seen, what it proves, and what could have been seen."""

from __future__ import annotations

from collections.abc import Sequence

from canary.judge.block import NONE, Tally, plus
from canary.judge.buckets import quantile_of, whole
from canary.judge.comparison import P95
from canary.judge.evidence import Evidence
from canary.judge.proof import Proof
from canary.judge.terms import Terms
from canary.judge.trial import Trial
from canary.judge.verdict import Outcome, Unit, Verdict
from canary.judge.words import count, odds, of_unit, percent, times
from canary.judge.words import quantile as spoken
from canary.plan.model import (
    NoWorseThanBaseline,
    OfBaseline,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
)
from canary.plan.rules import OfQuantile

LEAST = 100
"""Requests of each arm before a trigger that has not fired counts as looked at."""
CRITERIA = (RateBelow, QuantileBelow, RatioAbove, NoWorseThanBaseline)


def verdict(
    rule: Rule, evidence: Evidence, terms: Terms, trial: Trial, share: float, most: float, kept: float
) -> Verdict:
    """share: the rule's part of α; most, kept: the most evidence that it ever showed of harm, and of being kept."""
    canary, baseline = evidence.tally(rule.measure, "canary"), evidence.tally(rule.measure, "baseline")
    compared = isinstance(rule, OfBaseline)
    proof = trial.proof(terms.harm / share, terms.fine)
    arms = [canary or NONE, *([baseline or NONE] if compared else [])]
    outcome = _outcome(rule, arms, proof, most, kept, trial.able)
    value, limit, unit = _shown(rule, canary or NONE, (baseline or NONE) if compared else None)
    told = _reason(rule, outcome, canary or NONE, baseline or NONE, proof)
    caveat = trial.caveat()
    reason = f"{rule.measure}{told}" + (f" ({caveat})" if caveat else "")
    ours, theirs = whole(canary) if canary else None, whole(baseline or NONE) if compared else None
    return Verdict(rule.text, rule.measure, outcome, value, limit, unit, ours, theirs, reason, proof)


def _counted(tally: Tally) -> float:
    return tally.total or (1.0 if tally.last is not None else 0.0)


def _outcome(rule: Rule, arms: Sequence[Tally], proof: Proof, most: float, kept: float, able: bool) -> Outcome:
    if not all(_counted(tally) for tally in arms):
        return Outcome.NO_DATA
    if most >= proof.needed_harm:
        return Outcome.FAIL
    if isinstance(rule, CRITERIA):
        # Shown once is shown, unless the evidence has turned since.
        return Outcome.PASS if kept >= proof.needed_fine and proof.fine >= 1 else Outcome.UNDECIDED
    looked = able and all(tally.total >= LEAST or tally.last is not None for tally in arms)
    return Outcome.PASS if looked else Outcome.UNDECIDED


def _shown(rule: Rule, canary: Tally, baseline: Tally | None) -> tuple[float | None, float | None, Unit]:
    """The value and the limit that people compare, in their unit."""
    if isinstance(rule, RateBelow | RateAbove):
        return _rate(canary), rule.limit, "share"
    if isinstance(rule, OfQuantile):
        found = quantile_of(whole(canary), rule.quantile)
        return (found.value if found else None), rule.limit, rule.unit
    assert isinstance(rule, OfBaseline)
    return _against(rule, canary, baseline or NONE)


def _against(rule: OfBaseline, canary: Tally, baseline: Tally) -> tuple[float | None, float | None, Unit]:
    if canary.buckets or baseline.buckets:
        ours, theirs = (quantile_of(whole(tally), rule.quantile or P95) for tally in (canary, baseline))
        limit = (1 + rule.by) * theirs.value if theirs and theirs.value is not None else None
        return (ours.value if ours else None), limit, "seconds"
    if canary.last is not None or baseline.last is not None:
        return canary.last, None if baseline.last is None else (1 + rule.by) * baseline.last, "events"
    theirs_rate = _rate(baseline)
    return _rate(canary), None if theirs_rate is None else (1 + rule.by) * theirs_rate, "share"


def _rate(tally: Tally) -> float | None:
    return min(tally.bad / tally.total, 1.0) if tally.total else None


def _reason(rule: Rule, outcome: Outcome, canary: Tally, baseline: Tally, proof: Proof) -> str:
    if outcome is Outcome.NO_DATA:
        arm = "canary" if not _counted(canary) else "baseline"
        return f": not one request of the {arm} was measured"
    return f"{_seen(rule, canary, baseline)}{_between(rule, proof)}; {_said(rule, outcome, proof)}"


def _seen(rule: Rule, canary: Tally, baseline: Tally) -> str:
    """What was measured, such as " p95 ≈ 91 ms, 0.4 % of 3,120 canary requests over 200 ms"."""
    if isinstance(rule, RateBelow | RateAbove):
        return f": {count(canary.bad)} of {count(canary.total)} canary requests bad ({percent(_rate(canary) or 0.0)})"
    if isinstance(rule, OfQuantile):
        found = quantile_of(whole(canary), rule.quantile)
        shown = f" {spoken(rule.quantile)} {found.told(rule.unit)}" if found else ""
        return f"{shown} over {count(canary.total)} canary requests"
    assert isinstance(rule, OfBaseline)
    value, limit, unit = _against(rule, canary, baseline)
    quantile = f" {spoken(rule.quantile or P95)}" if unit == "seconds" else ""
    past = None if limit is None else limit / (1 + rule.by)
    return f"{quantile}: {_told(value, unit)} on the canary, {_told(past, unit)} on the baseline"


def _told(number: float | None, unit: str) -> str:
    if number is None:
        return "unknown"
    return count(number) if unit == "events" else of_unit(number, unit)


def _between(rule: Rule, proof: Proof) -> str:
    """What is not disproved, at every look with 95 %; nothing while nothing is."""
    if proof.of == "share" and proof.high is not None:
        low = isinstance(rule, RatioAbove | RatioBelow)
        beyond = (
            f" {'at or below' if low else 'over'} {of_unit(rule.limit, rule.unit)}"
            if isinstance(rule, OfQuantile)
            else ""
        )
        return f", surely {percent(proof.low, 2)} to {percent(proof.high, 2)}{beyond}"
    if proof.of == "share":
        return ""
    if proof.high is None:
        return f", surely {times(proof.low)} or more" if proof.low else ""
    return f", surely {times(proof.low)} to {times(proof.high)}"


def _said(rule: Rule, outcome: Outcome, proof: Proof) -> str:
    if outcome is Outcome.FAIL:
        return f"'{rule.text}' is shown to be {'broken' if isinstance(rule, CRITERIA) else 'true'}"
    if outcome is Outcome.PASS and isinstance(rule, CRITERIA):
        return f"'{rule.text}' is shown"
    if isinstance(rule, CRITERIA):
        return f"'{rule.text}' is not shown yet (evidence {odds(proof.fine)}, needed {odds(proof.needed_fine)})"
    could = f"; {times(proof.seen)} would have been seen by now" if proof.of == "ratio" and proof.seen else ""
    return f"'{rule.text}' is not shown{could}"


def combined(evidence: Evidence, traffic: str, terms: Terms, together: float, verdicts: Sequence[Verdict]) -> Verdict:
    """Several rules lean the same way: none fails alone, all together do."""
    parts = {v.measure: v.proof.harm / v.proof.needed_harm for v in verdicts if v.proof}
    names = " and ".join(sorted(parts, key=parts.__getitem__, reverse=True)[:2])
    said = f"no rule alone, but all together show harm, most of it {names}: {odds(together)} of {odds(terms.harm)}"
    tally = evidence.tally(traffic, "canary")
    return Verdict("all rules together", traffic, Outcome.FAIL, together, terms.harm, "evidence", tally, None, said)


def settled(evidence: Evidence, traffic: str, terms: Terms) -> Verdict | None:
    """The limit that holds while the canary warms up; None without a warm-up, or while it is kept."""
    if terms.settle is None or not evidence.trail:
        return None
    total = NONE
    for block in evidence.trail:
        if terms.settling(evidence.trail[0], block):
            total = plus(total, block.increments.get(traffic, {}).get("canary", NONE))
    share = _rate(total)
    if share is None or total.total < LEAST or share <= terms.settle.at_most:
        return None
    said = (
        f"{traffic}: {percent(share)} of {count(total.total)} canary requests bad while it warms up, "
        f"more than the {percent(terms.settle.at_most)} that settle allows"
    )
    return Verdict("settle", traffic, Outcome.FAIL, share, terms.settle.at_most, "share", total, None, said)
