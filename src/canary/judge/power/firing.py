"""Rules taken at their word: how often one would end a healthy release, at the service's traffic."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from canary.judge.block import Tally
from canary.judge.counts import CLEAN
from canary.judge.evidence import Evidence
from canary.judge.literal import literally
from canary.judge.power.cell import Setting
from canary.judge.power.facts import Known
from canary.judge.power.latency import Latency
from canary.judge.terms import BLOCK
from canary.judge.verdict import Outcome
from canary.plan.model import AnySeen, NoneSeen, RatioAbove, RatioBelow, Rule
from canary.plan.rules import OfQuantile
from canary.ports import Arm

STREAMS = 200
SEED = 52_301
LOOKS = 120
"""Looks at least that a phase is given: all blocks of half an hour."""


def firing(rule: Rule, setting: Setting, known: Known) -> float | str:
    """The chance, 0–1, that the rule fails a phase of a canary that is as good as the baseline; or what is missing.

    `none` and `any`: 1 − exp(−the bad events that are expected). Others: imagined phases, looked at block by block.
    """
    if known.rps is None:
        return "the requests a second are not known: give --rps"
    per_block = known.rps * BLOCK / setting.terms.pace
    if isinstance(rule, NoneSeen | AnySeen):
        if known.error_rate is None:
            return "the bad share of today is not known: give --error-rate"
        return -math.expm1(-per_block * setting.exposure * setting.blocks * known.error_rate)
    if known.kind == "times" and known.latency is None:
        return f"the latency is not known: give --latency {rule.signal}=P50/P95, or buckets in --facts FILE"
    if known.kind != "times" and known.error_rate is None:
        return "the bad share of today is not known: give --error-rate"
    return _simulated(rule, setting, known, per_block)


def clean_needed(rule: NoneSeen | AnySeen) -> int:
    """Opportunities without an event before the rule passes."""
    return CLEAN if isinstance(rule, NoneSeen) else 1


def honest(rule: Rule, exposure: float, known: Known) -> str:
    """The statistical rule to write instead, as it stands in a plan."""
    on = f", on: {rule.on[0] if len(rule.on) == 1 else '[' + ', '.join(rule.on) + ']'}" if rule.on else ""
    if not isinstance(rule, NoneSeen | AnySeen):
        return f'{{{rule.signal}: "{rule.text}"{on}}} without profile: literal'
    if exposure >= 1:
        above = f"{100 * min(5 * (known.error_rate or 0.002), 0.5):.2g}%"
        return f'{{{rule.signal}: "{"<" if isinstance(rule, NoneSeen) else ">"} {above}"{on}}}'
    text = "no worse than baseline by 100%" if isinstance(rule, NoneSeen) else "worse than baseline"
    return f"{{{rule.signal}: {text}{on}}}"


def _simulated(rule: Rule, setting: Setting, known: Known, per_block: float) -> float:
    """The share of imagined phases that the literal judge fails at any block."""
    rng = np.random.default_rng(SEED)
    arms: dict[Arm, float] = {"canary": setting.exposure, "baseline": 1 - setting.exposure}
    failed = 0
    for _ in range(STREAMS):
        counted = {arm: _counted(rng, rule, per_block * share, setting.blocks, known) for arm, share in arms.items()}
        failed += _fails(rule, counted, setting.blocks)
    return failed / STREAMS


def _fails(rule: Rule, counted: dict[Arm, list[Tally]], blocks: int) -> bool:
    at = range(blocks - 1, -1, -max(blocks // LOOKS, 1))[::-1]
    looks = ({arm: tallies[block] for arm, tallies in counted.items()} for block in at)
    return any(literally(rule, Evidence({rule.measure: seen})).outcome is Outcome.FAIL for seen in looks)


def _counted(rng: np.random.Generator, rule: Rule, mean: float, blocks: int, known: Known) -> list[Tally]:
    """What one arm has counted in all by the end of each block."""
    n = rng.poisson(mean, blocks)
    totals = n.cumsum()
    if known.latency is None:
        bad = rng.binomial(n, known.error_rate or 0.0).cumsum()
        tallies = [Tally(float(t), float(b)) for t, b in zip(totals, bad, strict=True)]
        return [_as_ratios(rule, each) for each in tallies] if isinstance(rule, OfQuantile) else tallies
    edges, parts = _parts(known.latency)
    under = rng.multinomial(n, parts).cumsum(axis=1).cumsum(axis=0)[:, :-1]
    return [
        Tally(float(total), 0.0, dict(zip(edges, map(float, row), strict=True)))
        for total, row in zip(totals, under, strict=True)
    ]


def _as_ratios(rule: OfQuantile, tally: Tally) -> Tally:
    """A histogram of ratios with one edge, at the rule's limit, and the bad ones on its wrong side."""
    under = tally.bad if isinstance(rule, RatioAbove | RatioBelow) else tally.total - tally.bad
    return replace(tally, bad=0.0, buckets={rule.limit: under})


def _parts(latency: Latency) -> tuple[tuple[float, ...], list[float]]:
    under = [0.0, *(1 - latency.above(edge) for edge in latency.edges), 1.0]
    parts = np.maximum(np.diff(under), 0.0)
    return latency.edges, list(parts / parts.sum())
