"""The project's judges, run on many streams at once by the code that judges one."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.judge.cell import Bound as BoundCell
from bench.judge.cell import Errors
from bench.judge.decisions import A_MINUTE, NEVER, Decisions, Judge, at_the_end, first
from bench.judge.scrapes import SLOTS, Slots
from canary.judge.bound import Bound
from canary.judge.limits import exact, floor_of
from canary.judge.odds import Array
from canary.judge.profiles import INDEPENDENT, STEADY, SWIFT, Profile
from canary.judge.ratio import Ratio
from canary.judge.wealth import Counts, Wealth

ALPHA, BETA = 0.01, 0.05
WORST_ALLOWED = 2.0
"""r1: green says that the canary's odds are below this many times the baseline's."""


def _counts(slots: Slots, at: int) -> Counts:
    return Counts(slots.n[:, at], slots.bad[:, at], slots.other_n[:, at], slots.other_bad[:, at])


def steady(cell: Errors | BoundCell, slots: Slots) -> Decisions:
    """The default, both sides."""
    state = Ratio.start(STEADY, limit=WORST_ALLOWED, shape=slots.n.shape[:1])
    harm, fine = np.empty_like(slots.n), np.empty_like(slots.n)
    for at in range(SLOTS):
        state = state.add(_counts(slots, at), at // A_MINUTE)
        harm[:, at], fine[:, at] = state.harm, state.fine
    return Decisions(first(harm >= 1 / ALPHA), first(fine >= 1 / BETA))


def compared(cell: Errors | BoundCell, slots: Slots, profile: Profile) -> Decisions:
    """A profile that is declared, its harm side."""
    state = Wealth.start(profile, shape=slots.n.shape[:1])
    owned = np.empty_like(slots.n)
    for at in range(SLOTS):
        state = state.add(_counts(slots, at), at // A_MINUTE, SLOTS - at)
        owned[:, at] = state.owned
    return Decisions(first(owned >= 1 / ALPHA), np.full(slots.n.shape[0], NEVER))


def bound(cell: Errors | BoundCell, slots: Slots, cluster: int | None = None) -> Decisions:
    """The canary alone against the cell's limit, in the cluster form with the cell's own cluster unless told."""
    if not isinstance(cell, BoundCell):
        raise TypeError("only a cell of kind bound has a limit")
    state = Bound.start(cell.limit, cluster or cell.cluster, slots.n.shape[:1])
    harm, fine = np.empty_like(slots.n), np.empty_like(slots.n)
    for at in range(SLOTS):
        state = state.add(slots.n[:, at], slots.bad[:, at])
        harm[:, at], fine[:, at] = state.harm, state.fine
    return Decisions(first(harm >= 1 / ALPHA), first(fine >= 1 / BETA))


def literal(cell: Errors | BoundCell, slots: Slots) -> Decisions:
    """The limit as a threshold on what was counted so far, once enough requests were; green when kept at the end."""
    if not isinstance(cell, BoundCell):
        raise TypeError("only a cell of kind bound has a limit")
    n: Array = np.cumsum(slots.n, -1)
    enough = n >= floor_of(exact(cell.limit))
    rollback = first((np.cumsum(slots.bad, -1) >= cell.limit * n) & enough)
    return Decisions(rollback, at_the_end(~np.isfinite(rollback) & enough[:, -1]))


OURS: dict[str, Judge] = {
    "steady": steady,
    "swift": partial(compared, profile=SWIFT),
    "independent": partial(compared, profile=INDEPENDENT),
}
BOUNDS: dict[str, Judge] = {"bound": bound, "bound D=1": partial(bound, cluster=1), "literal": literal}
