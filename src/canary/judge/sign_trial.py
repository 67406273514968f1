"""Rules on a ready-made number, such as a p95 that somebody computed: only which arm's is larger counts.

Of windows that do not overlap, at most one half may show a canary beyond what is allowed. Each window can at most
double the evidence, so that few of them never decide: `plan power` says when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from canary.judge.block import Block
from canary.judge.proof import Proof
from canary.judge.trial import Moment
from canary.plan.model import NoWorseThanBaseline, WorseThanBaseline

STAKES = np.array([0.2, 0.5, 0.8, 0.98])


@dataclass(frozen=True, slots=True, eq=False)
class SignTrial:
    """windows: compared so far; beyond: in how many the canary's value was larger than allowed. Ties tell nothing."""

    rule: WorseThanBaseline | NoWorseThanBaseline
    window: float
    windows: int = 0
    beyond: int = 0
    last: int | None = None

    @classmethod
    def start(cls, rule: WorseThanBaseline | NoWorseThanBaseline, window: float) -> Self:
        """window: minutes of plan time that one value summarises, at least one block."""
        return cls(rule, window)

    def add(self, block: Block, moment: Moment) -> SignTrial:
        arms = block.increments.get(self.rule.measure, {})
        ours, theirs = (arms[arm].last if arm in arms else None for arm in ("canary", "baseline"))
        number = int(moment.minute // max(self.window, 1.0))
        if ours is None or theirs is None or number == self.last:
            return self
        limit = theirs * (1 + self.rule.by)
        if ours == limit:
            return replace(self, last=number)
        return replace(self, windows=self.windows + 1, beyond=self.beyond + (ours > limit), last=number)

    @property
    def harm(self) -> float:
        return _won(self.beyond, self.windows - self.beyond)

    @property
    def fine(self) -> float:
        return _won(self.windows - self.beyond, self.beyond)

    @property
    def able(self) -> bool:
        return self.windows > 0

    def proof(self, needed_harm: float, needed_fine: float) -> Proof:
        value = self.beyond / self.windows if self.windows else None
        return Proof("share", self.harm, needed_harm, self.fine, needed_fine, value, 0.0, None, None)

    def caveat(self) -> str:
        return f"the canary's value was beyond the limit in {self.beyond} of {self.windows} windows"


def _won(hits: int, misses: int) -> float:
    return float(np.exp(np.minimum(hits * np.log1p(STAKES) + misses * np.log1p(-STAKES), 600.0)).mean())
