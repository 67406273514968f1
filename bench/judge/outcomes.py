"""What one judge did in one cell: shares with their intervals, times, and what its decisions cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from bench.judge.decisions import HORIZON, Decisions
from bench.judge.scrapes import EVERY, SLOTS
from canary.judge.backtest.chance import Rate
from canary.judge.odds import Array


class Share(BaseModel):
    """Of the runs, 0–1, with its 99 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, runs: int) -> Share:
        seen = Rate.seen(hits, runs)
        return cls(share=seen.share, low=seen.low, high=seen.high)


class Outcome(BaseModel):
    """Rolled back at some time; green and never rolled back; neither: together 1.

    median, green_median: seconds, None where fewer than half came to it; mean: seconds until rollback, at most 1800.
    served: mean number of bad requests that the canary answered until it was rolled back, or the 30 minutes were over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    judge: str
    runs: int
    rollback: Share
    green: Share
    inconclusive: Share
    median: float | None
    green_median: float | None
    mean: float
    served: float


class Result(BaseModel):
    """One cell, all its judges.

    null: a rollback would be false; as_bad: green would be; in_scope: the default judge promises its α and β.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cell: str
    null: bool
    as_bad: bool
    in_scope: bool
    outcomes: tuple[Outcome, ...]

    def of(self, judge: str) -> Outcome | None:
        return next((each for each in self.outcomes if each.judge == judge), None)


def outcome(judge: str, decided: Sequence[Decisions], slots: Sequence[Array]) -> Outcome:
    """Of all runs; slots: what was served in them, as in Slots."""
    rollback = np.concatenate([each.rollback for each in decided])
    green = np.concatenate([each.green for each in decided])
    served = np.concatenate(slots)
    rolled = np.isfinite(rollback)
    fine = np.isfinite(green) & ~rolled
    runs = len(rollback)
    until = np.where(rolled, np.minimum(rollback, HORIZON) / EVERY, SLOTS).astype(int) - 1
    return Outcome(
        judge=judge,
        runs=runs,
        rollback=Share.of(int(rolled.sum()), runs),
        green=Share.of(int(fine.sum()), runs),
        inconclusive=Share.of(int((~rolled & ~fine).sum()), runs),
        median=_median(rollback),
        green_median=_median(np.where(rolled, np.inf, green)),
        mean=float(np.minimum(rollback, HORIZON).mean()),
        served=float(served[np.arange(runs), until].mean()),
    )


def _median(seconds: Array) -> float | None:
    middle = float(np.quantile(seconds, 0.5, method="lower"))
    return middle if np.isfinite(middle) else None
