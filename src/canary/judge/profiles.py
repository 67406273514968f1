"""How evidence against a canary is gathered: what a comparison takes for granted, and how boldly it bets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Named = Literal["steady", "swift", "independent"]


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the money that bets on odds beyond `margin`, at most the part `cap` of it a block."""

    margin: float
    cap: float
    share: float


@dataclass(frozen=True, slots=True)
class Profile:
    """better: the tilts that are bet on, equally. at_once: invested before the first block; again: part of the
    remaining cash that follows every `every` blocks, for a harm that begins late.

    per_minute: most that evidence may grow within one clock minute. goal: part that plays for reaching `target` by
    the deadline; at block `goal_at` the part `goal_part` of everything else joins it. exact: the likelihood ratio of
    every single bad event instead of a capped bet on the block.
    """

    lanes: tuple[Lane, ...]
    better: tuple[float, ...]
    at_once: float = 1.0
    again: float = 0.0
    every: int = 8
    per_minute: float = math.inf
    goal: float = 0.0
    goal_at: int = 0
    goal_part: float = 0.0
    target: float = 100.0
    exact: bool = False


STEADY = Profile(
    lanes=(Lane(1.35, 0.90, 0.6), Lane(1.10, 0.20, 0.4)),
    better=(1.3, 1.7, 2.5, 4.0, 8.0, 25.0),
    at_once=0.7,
    again=0.1,
    per_minute=9.9,
)
"""Bad events may come in bursts on one pod: no two minutes can decide at 1 %, and small excess is not believed."""
SWIFT = Profile(
    lanes=(Lane(1.0, 0.97, 1.0),),
    better=(1.6, 2.2, 4.0, 12.0),
    goal=0.05,
    goal_at=50,
    goal_part=0.7,
)
"""Every request is routed at random by itself and pods have no bursts of their own: the plan's author says so."""
INDEPENDENT = Profile(
    lanes=(Lane(1.0, 1.0, 1.0),),
    better=(1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0),
    at_once=0.6,
    again=0.08,
    exact=True,
)
"""Every bad event is one by itself: no retries, no bursts. The fastest, and wrong where that is not true."""
FINE = Profile(lanes=(Lane(1.03, 0.9, 1.0),), better=(1.6, 2.2))
"""The other side: that the canary is as bad as it must not be is disproved. Arms are swapped.

A burst on the canary's few pods moves its share less when it is high than when it is low; the margin makes up for it.
"""
