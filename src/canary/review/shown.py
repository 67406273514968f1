"""One number from what was counted: the share, the rate per hour, a quantile, or a gauge's newest value."""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.buckets import quantile_of, whole
from canary.plan.model import Plan
from canary.ports import Arm
from canary.review import words
from canary.review.sums import Sum, Sums

QUANTILES = {"p50": 0.5, "p95": 0.95}


@dataclass(frozen=True, slots=True)
class Asked:
    """What to show: measure, its total `of` (gauges), and share, per_hour, last or a quantile (0–1)."""

    measure: str
    of: str | None
    shows: str | float


@dataclass(frozen=True, slots=True)
class Shown:
    """value: None when nothing was counted. samples: what it rests on. present: whether the measure was seen at all.
    beyond: the quantile lies above the last bucket edge, which is `value`."""

    value: float | None
    samples: float
    present: bool
    beyond: bool = False

    def told(self, unit: str) -> str:
        """In words: absent, present without a count, or the value."""
        if self.value is None:
            return "0 counted" if self.present else "absent"
        return f"above {words.value(self.value, unit)}" if self.beyond else words.value(self.value, unit)


ABSENT = Shown(None, 0.0, present=False)


def shown(sums: Sums, stage: str, arm: Arm, asked: Asked) -> Shown:
    """What one arm shows in one stage."""
    found = sums.get(stage, asked.measure, arm)
    if found is None:
        return ABSENT
    if asked.shows == "last" or asked.of:
        return _gauge(found, sums.get(stage, asked.of, arm) if asked.of else None, asked)
    tally = found.tally
    if asked.shows == "per_hour":
        hours = found.seconds / 3600
        return Shown(tally.total / hours if hours else None, tally.total, present=True)
    if asked.shows == "share":
        # More uses than page views is possible, and is shown as it is.
        return Shown(tally.bad / tally.total if tally.total else None, tally.total, present=True)
    return _quantile(found, asked.shows if isinstance(asked.shows, float) else QUANTILES[str(asked.shows)])


def _gauge(found: Sum, every: Sum | None, asked: Asked) -> Shown:
    value = found.tally.last
    if not asked.of:
        return Shown(value, 0.0 if value is None else 1.0, present=True)
    whole_value = every.tally.last if every else None
    if value is None or not whole_value:
        return Shown(None, 0.0, present=True)
    return Shown(value / whole_value, whole_value, present=True)


def _quantile(found: Sum, quantile: float) -> Shown:
    tally = whole(found.tally)
    place = quantile_of(tally, quantile)
    if place is None:
        return Shown(None, tally.total, present=True)
    if place.value is None:
        return Shown(place.last, tally.total, present=True, beyond=True)
    return Shown(place.value, tally.total, present=True)


def error_measures(plan: Plan) -> list[str]:
    """The measures of rules and alerts that are rates of errors, each once."""
    rules = [rule for phase in plan.phases for rule in (*phase.criteria, *phase.triggers)]
    rules += [rule for _, rule in plan.alerts.each()]
    rates = [rule.measure for rule in rules if plan.signals[rule.signal].is_a == "rate"]
    return list(dict.fromkeys([plan.traffic, *rates]))


def latency_measures(plan: Plan) -> list[str]:
    """The measures of times, each once: what is judged first."""
    measures = [*(m for phase in plan.phases for m in plan.judged(phase)), *plan.watched()]
    return [m for m in dict.fromkeys(measures) if plan.signals[m.partition(" on ")[0]].is_a == "times"]
