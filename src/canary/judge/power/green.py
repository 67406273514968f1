"""Whether a healthy release is promoted in time, by Monte Carlo of the judge's other side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from canary.judge.bound import BETTER, evidence
from canary.judge.power.cell import Cell, Limits, Setting
from canary.judge.power.runs import Runs, fine, run

PROMOTED = 0.9
"""Share of healthy releases that a plan which can decide promotes, at least."""
STREAMS = 2000
SEED = 43_301


@dataclass(frozen=True, slots=True)
class Green:
    """share: of healthy releases whose criterion is shown when the phase ends, 0–1. seconds: until it is first shown,
    the median; None where most never are."""

    share: float
    seconds: float | None


def green(cell: Cell, setting: Setting, seed: int = SEED) -> Green:
    """Of a canary that is exactly as good as the baseline."""
    runs = healthy(cell, setting, setting.blocks, STREAMS, seed)
    median = float(np.median(runs.first))
    return Green(float(runs.holds[0, -1]), median if math.isfinite(median) else None)


def healthy(cell: Cell, setting: Setting, blocks: int, streams: int, seed: int) -> Runs:
    """Runs of so many blocks with a healthy canary, until the criterion is shown."""
    return run(cell, fine(cell, (1, streams)), setting.terms.fine, np.ones(1), streams, blocks, seed)


def clean_for(form: Limits, needed: float) -> int:
    """Canary requests, not one of them bad, that show a limit to be kept (< 1 %, cluster 4, β = 5 %: 1,192)."""

    def shown(n: int) -> bool:
        return float(evidence(form.limit, form.cluster, BETTER, float(n), 0.0)) >= needed

    low, high = 0, 1
    while not shown(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high
