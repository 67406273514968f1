"""Evidence on the canary's bad events against those of the baseline in the same minutes, from both sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from canary.judge.odds import Array
from canary.judge.profiles import FINE, Profile
from canary.judge.wealth import Counts, Wealth

SURE = 0.95
GRID = np.geomspace(1 / 16, 16, 41)
TIMES = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0])
IMAGINED, CAUGHT = 32, 0.8
SEED = 20_250


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Streams of counts of two arms. `allowed`: odds ratio beyond which the canary is worse; `limit`: at which it
    is as bad as it must not be."""

    worse: Wealth
    better: Wealth
    totals: Array

    @classmethod
    def start(
        cls, profile: Profile, allowed: Array | float = 1.0, limit: Array | float = 2.0, shape: tuple[int, ...] = ()
    ) -> Self:
        """Before the first block. Raises ValueError for odds that are not above 0."""
        if not all(np.all(np.isfinite(odds) & (np.asarray(odds) > 0)) for odds in (allowed, limit)):
            raise ValueError(f"odds ratios are above 0 and finite: {allowed}, {limit}")
        return cls(
            Wealth.start(profile, allowed, shape),
            Wealth.start(FINE, 1 / np.asarray(limit), shape),
            np.zeros((*shape, 4)),
        )

    def add(self, counts: Counts, minute: int, left: float = 0.0) -> Ratio:
        """After one more block; `minute` and `left` as in `Wealth.add`."""
        each = np.stack([counts.n, counts.bad, counts.other_n, counts.other_bad], axis=-1)
        worse, better = self.worse.add(counts, minute, left), self.better.add(counts.swapped, minute, left)
        return Ratio(worse, better, self.totals + each)

    @property
    def harm(self) -> Array:
        return self.worse.owned

    @property
    def fine(self) -> Array:
        return self.better.owned


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The odds ratios not yet disproved: the true one is among them at every look with probability `SURE`."""

    wealth: Wealth

    @classmethod
    def start(cls, profile: Profile) -> Self:
        return cls(Wealth.start(profile, np.stack([GRID, 1 / GRID]), (2, len(GRID))))

    def add(self, counts: Counts, minute: int) -> Band:
        pairs = ((counts.n, counts.other_n), (counts.bad, counts.other_bad))
        (n, other_n), (bad, other_bad) = (
            [np.broadcast_to(np.array(way)[:, None], (2, len(GRID))) for way in ((one, two), (two, one))]
            for one, two in pairs
        )
        return Band(self.wealth.add(Counts(n, bad, other_n, other_bad), minute))

    @property
    def interval(self) -> tuple[float, float | None]:
        """From, to; `to` is None while nothing limits it."""
        disproved = self.wealth.owned >= 2 / (1 - SURE)
        low = float(GRID[disproved[0]].max()) if disproved[0].any() else 0.0
        high = float(GRID[disproved[1]].min()) if disproved[1].any() else None
        return low, None if high is None else max(low, high)


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen:
    """Imagined canaries that are worse by known factors, judged like the real one on the same numbers of requests.

    What they show is what the real judge could have seen by now. Their chance is a function of the number of the
    block alone, so that the same blocks give the same answer.
    """

    wealth: Wealth
    caught: Array
    baseline: Array
    needed: float

    @classmethod
    def start(cls, profile: Profile, allowed: float, needed: float) -> Self:
        shape = (len(TIMES), IMAGINED)
        return cls(Wealth.start(profile, allowed, shape), np.zeros(shape), np.zeros(2), needed)

    def add(self, counts: Counts, minute: int, left: float = 0.0) -> Foreseen:
        baseline = self.baseline + np.array([counts.other_n, counts.other_bad])
        rate = min((baseline[1] + 0.5) / (baseline[0] + 1), 1.0)
        draw = np.random.default_rng((SEED, self.wealth.blocks))
        shape = self.caught.shape
        expected = counts.n * np.minimum(rate * TIMES * np.maximum(self.wealth.odds, 1.0), 1.0)
        bad = np.minimum(draw.poisson(np.broadcast_to(expected[:, None], shape)), counts.n)
        other = np.minimum(draw.poisson(counts.other_n * rate, shape), counts.other_n)
        n, other_n = np.broadcast_to(counts.n, shape), np.broadcast_to(counts.other_n, shape)
        wealth = self.wealth.add(Counts(n, bad * 1.0, other_n, other * 1.0), minute, left)
        return replace(
            self, wealth=wealth, baseline=baseline, caught=np.maximum(self.caught, wealth.owned >= self.needed)
        )

    @property
    def smallest(self) -> float | None:
        """The smallest factor (odds, of what is allowed) that most would have been caught with; None: none so far."""
        shares = np.maximum.accumulate(self.caught.mean(-1))
        if shares[-1] < CAUGHT:
            return None
        if shares[0] >= CAUGHT:
            return float(TIMES[0])
        return float(np.exp(np.interp(CAUGHT, shares, np.log(TIMES))))
