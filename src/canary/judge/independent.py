"""Evidence against a canary whose requests each fail by themselves: the exact likelihood ratio, for who declares so.

One bad event after another is a draw from the two arms. `TIMES` by how much its odds could be larger than allowed;
each is a bet, and late starts bring in what was kept back. Bad events that come together (retries, bursts of a pod)
break it: nothing limits what one block may decide. The default profile is for those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from canary.judge.odds import Array, largest_share
from canary.judge.wealth import RICH, Counts

TIMES = np.array([1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0])
AT_ONCE, AGAIN, EVERY = 0.6, 0.08, 8


@dataclass(frozen=True, slots=True, eq=False)
class Independent:
    """What is owned after some blocks: `cash` (…,), `money` (…, strategies). odds: still allowed, as in Wealth."""

    odds: Array
    cash: Array
    money: Array
    blocks: int

    @classmethod
    def start(cls, odds: Array | float = 1.0, shape: tuple[int, ...] = ()) -> Self:
        """Before the first block, for streams of this shape: 1 each."""
        money = np.full((*shape, len(TIMES)), AT_ONCE / len(TIMES))
        return cls(np.asarray(odds, dtype=np.float64), np.full(shape, 1 - AT_ONCE), money, 0)

    @property
    def owned(self) -> Array:
        """The evidence: 1 at first, and on average no more as long as the allowed odds are kept."""
        return np.asarray(self.cash + self.money.sum(-1))

    def add(self, counts: Counts, minute: int, left: float = 0.0) -> Independent:
        """After one more block; minute and left decide nothing here."""
        invested = self._invested()
        told = counts.tells
        money = np.where(told[..., None], _grown(invested, counts.where(told)), invested.money)
        owned = invested.cash + money.sum(-1)
        scale = np.where(owned > RICH, RICH / owned, 1.0)
        cash, money = invested.cash * scale, money * scale[..., None]
        return replace(invested, cash=cash, money=money, blocks=self.blocks + 1)

    def _invested(self) -> Independent:
        if not self.blocks or self.blocks % EVERY:
            return self
        part = self.cash * AGAIN
        return replace(self, cash=self.cash - part, money=self.money + (part / len(TIMES))[..., None])


def _grown(rich: Independent, counts: Counts) -> Array:
    """The money after the block: the likelihood ratio of each strategy, event by event."""
    total = counts.bad + counts.other_bad
    theta = largest_share(rich.odds, counts.n, counts.other_n, total)[..., None]
    theta = np.minimum(theta, 1 - 1e-12)
    more = TIMES / (1 + theta * (TIMES - 1))
    fewer = 1 / (1 + theta * (TIMES - 1))
    logs = counts.bad[..., None] * np.log(more) + counts.other_bad[..., None] * np.log(fewer)
    return np.asarray(rich.money * np.exp(np.clip(logs, -600.0, 600.0)))
