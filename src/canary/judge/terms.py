"""What a judge is told beside the rules: how sure it must be, and how plan time runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from canary.judge.block import Block
from canary.ports import NOTHING

ALPHA, BETA = 0.01, 0.05
BLOCK, MINUTE = 15.0, 60.0
"""Seconds of plan time."""


@dataclass(frozen=True, slots=True)
class Settle:
    """A warm-up after which evidence begins: so many seconds of plan time; then a share of bad requests, 0–1, beyond
    which it ends the phase all the same."""

    seconds: float
    at_most: float = 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """alpha, beta: chance of a false FAIL, and of a false PASS. pace: plan seconds in a real one. horizon: blocks of
    the whole phase, 0 when it is not known. windows: measure → minutes of plan time that a ready-made value sums up.
    earlier: those of the phases before this one that had users."""

    alpha: float = ALPHA
    beta: float = BETA
    settle: Settle | None = None
    pace: float = 1.0
    horizon: int = 0
    earlier: tuple[Terms, ...] = ()
    windows: Mapping[str, float] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.beta < 1 and self.pace > 0):
            raise ValueError(f"alpha and beta lie between 0 and 1, the pace is above 0: {self}")

    @property
    def harm(self) -> float:
        """Evidence that fails a phase."""
        return 1 / self.alpha

    @property
    def fine(self) -> float:
        """Evidence that passes a rule."""
        return 1 / self.beta

    def minute(self, block: Block) -> int:
        """The clock minute of plan time in which the block lies. A block's `at` is its end."""
        return math.floor((block.at * self.pace - BLOCK / 2) / MINUTE)

    def settling(self, first: Block, block: Block) -> bool:
        """Whether the block lies within the warm-up of a phase that began with `first`."""
        return self.settle is not None and (block.at - first.at) * self.pace + BLOCK <= self.settle.seconds

    def of_phases(self, count: int) -> tuple[Terms, ...]:
        """The terms of so many phases with users, of which this is the last; what is not known had no warm-up."""
        unknown = (replace(self, settle=None, earlier=()),) * (count - 1)
        return (*(unknown + self.earlier)[len(self.earlier) :], self)
