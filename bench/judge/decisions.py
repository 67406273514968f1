"""What a judge is in this benchmark: slots in, decisions out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bench.judge.cell import Bound, Errors
from bench.judge.scrapes import EVERY, Slots
from canary.judge.odds import Array

NEVER = np.inf
HORIZON = 1800.0
"""Seconds of a canary."""
A_MINUTE = 4
"""Slots."""


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Of each run: seconds until it is rolled back and until it is called green; NEVER where it is not.

    A rollback counts whenever it comes: being green ends no canary before its time.
    """

    rollback: Array
    green: Array


Judge: TypeAlias = Callable[[Errors | Bound, Slots], Decisions]


def first(over: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], every: int = 1) -> Array:
    """(runs, looks) → seconds until the first look that says yes; a look is at the end of `every` slots."""
    when = (over.argmax(-1) + 1) * EVERY * every
    return np.where(over.any(-1), when, NEVER)


def at_the_end(yes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Array:
    return np.where(yes, HORIZON, NEVER)


def minutes(each: Array) -> Array:
    """Sums of the minutes, (runs, 30)."""
    return np.asarray(each.reshape(each.shape[0], -1, A_MINUTE).sum(-1))


def unless(rollback: Array) -> Array:
    """The green of judges that promote whatever they did not roll back."""
    return at_the_end(~np.isfinite(rollback))
