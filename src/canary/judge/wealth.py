"""Evidence as money: what somebody would own who had bet, block by block, that one arm is worse than allowed.

Nobody can be expected to win such bets while the arm is as good as allowed, so owning 1/α is that unlikely at
whichever moment one looks (Ville 1939). A block is skipped when it tells nothing: no bad event, or a silent arm.

The bet is capped rather than the block lengthened, so that a burst in which bad events come together costs little.
Everything here works on many streams at once: counts are arrays, and a state has one row a stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from canary.judge.odds import Array, bet, largest_share
from canary.judge.profiles import Lane, Profile

Minute = int | NDArray[np.int64]
RICH = 1e15
"""Money is scaled down to this: enough for any α, and far from where numbers end."""


@dataclass(frozen=True, slots=True, eq=False)
class Wealth:
    """What is owned after some blocks. `cash` (…, lanes), `money` (…, lanes, strategies), `goal` (…,).

    blocks: folded so far; minute: the clock minute of the last one; began: what was owned when it began;
    met: bad events so far.
    """

    profile: Profile
    odds: Array
    cash: Array
    money: Array
    goal: Array
    began: Array
    met: Array
    minute: Minute
    blocks: int

    @classmethod
    def start(cls, profile: Profile, odds: Array | float = 1.0, shape: tuple[int, ...] = ()) -> Self:
        """Before the first block, for streams of this shape: 1 each.

        odds: the odds ratio of canary to baseline that is still allowed; the lanes' margins multiply it.
        """
        lanes, strategies = len(profile.lanes), len(profile.better)
        rest = 1.0 - profile.goal
        owned = np.broadcast_to([rest * lane.share for lane in profile.lanes], (*shape, lanes))
        money = np.repeat((owned * profile.at_once / strategies)[..., None], strategies, axis=-1)
        goal = np.full(shape, profile.goal)
        return cls(
            profile,
            np.asarray(odds, dtype=np.float64),
            owned * (1 - profile.at_once),
            money,
            goal,
            np.ones(shape),
            np.zeros(shape),
            -1,
            0,
        )

    @property
    def owned(self) -> Array:
        """The evidence: 1 at first, and on average no more as long as the allowed odds are kept."""
        return np.asarray(self.cash.sum(-1) + self.money.sum((-1, -2)) + self.goal)

    def add(self, counts: Counts, minute: Minute, left: Array | float = 0.0) -> Wealth:
        """After one more block. minute: the clock minute of its time; left: blocks until the deadline, if known.

        Streams of different times have one of each a stream.
        """
        rich = self._invested()
        told = counts.tells
        safe = counts.where(told)
        money = np.stack([_grown(rich, number, lane, safe) for number, lane in enumerate(self.profile.lanes)], axis=-2)
        money = np.where(told[..., None, None], money, rich.money)
        goal = np.where(told, rich._towards_goal(safe, left), rich.goal) if self.profile.goal else rich.goal
        began = np.where(np.not_equal(minute, self.minute), self.owned, self.began)
        met = rich.met + np.where(told, counts.bad + counts.other_bad, 0.0)
        after = replace(rich, money=money, goal=goal, began=began, met=met, minute=minute, blocks=self.blocks + 1)
        return after._capped()

    def _invested(self) -> Wealth:
        """With the part of the cash that is due now."""
        if not self.blocks or self.blocks % self.profile.every or not self.profile.again:
            return self._to_goal()
        part = self.cash * self.profile.again
        return replace(self, cash=self.cash - part, money=self.money + (part / len(self.profile.better))[..., None])

    def _to_goal(self) -> Wealth:
        if not self.profile.goal or self.blocks != self.profile.goal_at:
            return self
        kept = 1 - self.profile.goal_part
        moved = self.profile.goal_part * (self.money.sum((-1, -2)) + self.cash.sum(-1))
        return replace(self, cash=self.cash * kept, money=self.money * kept, goal=self.goal + moved)

    def _towards_goal(self, counts: Counts, left: Array | float) -> Array:
        """The bet that most probably ends at 1/α by the deadline (Browne 1999), of the goal's money."""
        rest = self.cash.sum(-1) + self.money.sum((-1, -2))
        coming = np.maximum(self.met, 1.0) / max(self.blocks, 1) * np.maximum(left, 1.0)
        return towards(self.goal, self.profile.target - rest, self.odds, counts, coming)

    def _capped(self) -> Wealth:
        limited = np.isfinite(self.profile.per_minute)
        most = np.minimum(self.profile.per_minute * self.began, RICH) if limited else np.asarray(RICH)
        owned = self.owned
        scale = most / np.maximum(owned, most)
        if np.all(scale == 1.0):
            return self
        return replace(
            self, cash=self.cash * scale[..., None], money=self.money * scale[..., None, None], goal=self.goal * scale
        )


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """One block of each stream: requests and bad events of the arm that is suspected, and of the other."""

    n: Array
    bad: Array
    other_n: Array
    other_bad: Array

    @classmethod
    def of(cls, n: object, bad: object, other_n: object, other_bad: object) -> Self:
        return cls(*(np.asarray(each, dtype=np.float64) for each in (n, bad, other_n, other_bad)))

    @property
    def tells(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether the block can count for or against anything."""
        return np.asarray((self.n > 0) & (self.other_n > 0) & (self.bad + self.other_bad > 0))

    def where(self, told: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Counts:
        """Itself, with harmless ones in place of what tells nothing."""
        if told.all():
            return self
        put = [np.where(told, each, 1.0) for each in (self.n, self.bad, self.other_n, self.other_bad)]
        return Counts(*put)

    @property
    def swapped(self) -> Counts:
        return Counts(self.other_n, self.other_bad, self.n, self.bad)


def _grown(rich: Wealth, number: int, lane: Lane, counts: Counts) -> Array:
    """One lane's money after the block: 1 − c + c y/θ a strategy."""
    odds = (rich.odds * lane.margin)[..., None]
    if rich.profile.exact:
        return _likelier(rich.money[..., number, :], odds, np.asarray(rich.profile.better), counts)
    n, other, bad = (each[..., None] for each in (counts.n, counts.other_n, counts.bad + counts.other_bad))
    staked = bet(odds, np.asarray(rich.profile.better), n, other, bad, lane.cap)
    met = (counts.bad[..., None] / bad) / largest_share(odds, n, other, bad)
    return np.asarray(rich.money[..., number, :] * (1 + staked * (met - 1)))


def _likelier(money: Array, odds: Array, better: Array, counts: Counts) -> Array:
    """Times the likelihood ratio of where each bad event fell (Lindon & Malek 2022, one-sided, with a margin).

    Against θ_E, which the canary's mean share exceeds for no odds allowed: below odds of 1 the share by odds would be.
    """
    n, other, bad, other_bad = (each[..., None] for each in (counts.n, counts.other_n, counts.bad, counts.other_bad))
    there = 1 / (1 + largest_share(odds, n, other, bad + other_bad) * (better - 1))
    logs = bad * np.log(better * there) + other_bad * np.log(there)
    return np.asarray(money * np.exp(np.clip(logs, -600.0, 600.0)))


def towards(money: Array, goal: Array, odds: Array, counts: Counts, coming: Array) -> Array:
    """`money` after the block, betting for the best chance to reach `goal` while `coming` bad events come."""
    bad = counts.bad + counts.other_bad
    theta = largest_share(odds, counts.n, counts.other_n, bad)
    chance = np.clip(money / np.maximum(goal, 1e-12), 1e-9, 1 - 1e-9)
    z = np.vectorize(NormalDist().inv_cdf, otypes=[float])(chance)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    stake = density / chance * bad * theta / np.sqrt(theta * (1 - theta) * np.maximum(coming, bad))
    return np.asarray(money * (1 + np.minimum(stake, 0.97) * (counts.bad / bad / theta - 1)))
