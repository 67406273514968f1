"""What one rule would be judged on: so many requests a block and arm, so many of them bad.

A cell holds what the real trial of the rule holds (profile, odds, limit, edges), and the service's traffic instead of
measurements. Harm is one number: a counter's canary is `factor` times as bad as the baseline, a histogram's takes
`factor` times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from canary.judge.baseline_trial import PROFILES, Compared
from canary.judge.buckets import edges_around
from canary.judge.edges import LEARNT_BLOCKS, LEARNT_FROM, NEAR, edges
from canary.judge.limits_trial import Limited, allowed
from canary.judge.power.facts import Known
from canary.judge.power.latency import Latency, as_tally
from canary.judge.profiles import STEADY, Profile
from canary.judge.terms import BLOCK, Terms
from canary.judge.words import of_unit
from canary.plan.model import OfBaseline
from canary.plan.rules import OfQuantile

Shares = tuple[float, ...]
Axis = Literal["bad", "slow"]
MOST_BAD, MOST_SLOW = 1000.0, 100.0


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a rule is judged. exposure: share of users, 0–1. blocks: of 15 s of plan time, the whole phase.

    part: the rule's part of α, 0–1.
    """

    terms: Terms
    exposure: float
    blocks: int
    part: float

    @property
    def needed_harm(self) -> float:
        return self.terms.harm / self.part

    @property
    def warm(self) -> int:
        """Blocks of the warm-up, which are no evidence."""
        return int(self.terms.settle.seconds // BLOCK) if self.terms.settle else 0


@dataclass(frozen=True, slots=True)
class Ratios:
    """A comparison with the baseline, one stream an edge."""

    profile: Profile
    odds: Shares
    margin: float


@dataclass(frozen=True, slots=True)
class Limits:
    """A share against a limit. Of its two streams the first is what may be bad, the second what surely is."""

    limit: float
    cluster: int


@dataclass(frozen=True, slots=True)
class Cell:
    """canary, baseline: requests a block. skipped: blocks that pass before evidence is gathered.

    shares: factor → bad shares, 0–1, not rising: one an edge of a comparison; (maybe, surely) of a limit.
    counted: which of them are the bad requests that are told. caveat: what the reader must know, or "".
    """

    form: Ratios | Limits
    canary: float
    baseline: float
    skipped: int
    shares: Callable[[float], Shares]
    counted: int
    axis: Axis
    most: float
    caveat: str = ""

    @property
    def healthy(self) -> Shares:
        """As the baseline is; where its bad share is 0, nothing."""
        return self.shares(1.0)


def cell_of(rule: Compared | Limited, setting: Setting, known: Known) -> Cell | str:
    """The cell, or what is missing to tell."""
    if known.rps is None:
        return "the requests a second are not known: give --rps"
    per_block = known.rps * BLOCK / setting.terms.pace
    if isinstance(rule, OfBaseline) and setting.exposure >= 1:
        return "nobody is on the baseline, so that there is nothing to compare with"
    found = _of_histogram(rule, known) if known.kind == "times" else _of_counter(rule, known)
    if isinstance(found, str):
        return found
    canary, baseline = per_block * setting.exposure, per_block * (1 - setting.exposure)
    compared = isinstance(found.form, Ratios) and found.axis == "slow"
    learnt = max(math.ceil(LEARNT_FROM / baseline), LEARNT_BLOCKS) if compared else 0
    return replace(found, canary=canary, baseline=baseline, skipped=setting.warm + learnt)


def _of_counter(rule: Compared | Limited, known: Known) -> Cell | str:
    """Also for ratios: those on the wrong side of the limit are the bad ones."""
    rate = known.error_rate
    if isinstance(rule, OfBaseline) and known.kind == "ratios":
        return "a comparison of ratios cannot be foreseen"
    if rate is None:
        return "the bad share of today is not known: give --error-rate"
    if isinstance(rule, OfBaseline):
        if not rate:
            return "with no bad event at all there is nothing to compare: give the error rate of a long time"
        form = Ratios(PROFILES.get(rule.how.profile, STEADY), (1 + rule.by,), rule.how.margin)
        return Cell(form, 0, 0, 0, lambda factor: (min(rate * factor, 1.0),), 0, "bad", min(MOST_BAD, 1 / rate))
    limit = allowed(rule)
    base = rate or limit
    shares = _both(lambda factor: 0.0 if factor == 1 and not rate else min(base * factor, 1.0))
    most = min(max(MOST_BAD, 20 * limit / base), 1 / base)
    return Cell(Limits(limit, rule.how.cluster), 0, 0, 0, shares, 1, "bad", most)


def _both(share: Callable[[float], float]) -> Callable[[float], Shares]:
    return lambda factor: (share(factor), share(factor))


def _of_histogram(rule: Compared | Limited, known: Known) -> Cell | str:
    latency = known.latency
    if latency is None:
        return f"the latency is not known: give --latency {rule.signal}=P50/P95, or buckets in --facts FILE"
    if isinstance(rule, OfBaseline):
        return _compared(rule, latency)
    assert isinstance(rule, OfQuantile)
    below, above = edges_around(as_tally(latency), rule.limit)

    def shares(factor: float) -> Shares:
        maybe = 1.0 if below is None else latency.above(below / factor)
        return maybe, 0.0 if above is None else min(latency.above(above / factor), maybe)

    form = Limits(allowed(rule), rule.how.cluster)
    return Cell(form, 0, 0, 0, shares, 1, "slow", MOST_SLOW, edge_caveat(rule, below, above))


def _compared(rule: Compared, latency: Latency) -> Cell | str:
    near = NEAR if rule.quantile is None else (rule.quantile,)
    chosen = edges(as_tally(latency), rule.by, near)
    if not chosen:
        return "no bucket edge lies where it could tell canary and baseline apart"
    at = tuple(edge.seconds for edge in chosen)
    form = Ratios(PROFILES.get(rule.how.profile, STEADY), tuple(edge.odds for edge in chosen), rule.how.margin)
    told = "compared above " + ", ".join(of_unit(edge, "seconds") for edge in at)
    return Cell(
        form, 0, 0, 0, lambda k: tuple(latency.above(edge / k) for edge in at), len(at) // 2, "slow", MOST_SLOW, told
    )


def edge_caveat(rule: OfQuantile, below: float | None, above: float | None) -> str:
    """What a limit that is no bucket edge means; "" when it is one."""
    if below == above is not None:
        return ""
    at = of_unit(rule.limit, rule.unit)
    fails = f"rolls back on what is above {of_unit(above, rule.unit)}" if above is not None else "can never roll back"
    green = f"goes green on what is below {of_unit(below, rule.unit)}" if below is not None else "can never go green"
    return f"{at} is no bucket edge: {fails}, {green}; an edge at {at} would tell"
