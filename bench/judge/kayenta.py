"""Kayenta's rule on many runs: one value a minute and arm, in percent of requests; judged at the end or every 5 min.

High is a rollback; anything else is promoted at the end, but for an arm without data. The rule itself is asked only
where it can say high: its interval must lie above 0, which the rank sum tells of all runs at once.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.judge.cell import Bound, Errors
from bench.judge.decisions import A_MINUTE, NEVER, Decisions, Judge, minutes
from bench.judge.scrapes import EVERY, Slots
from canary.errors import MeasurementFailed
from canary.judge.kayenta import Label, classify
from canary.judge.odds import Array

TOLERANCE, CONF_LEVEL = 0.25, 0.98
"""What NetflixACAJudge gives its classifier."""
QUANTILE = 2.3263478740408408
PEEKS = (5, 10, 15, 20, 25, 30)
NEAR = 2e-4
"""The root finder stops within 1e-4."""


def kayenta(cell: Errors | Bound, slots: Slots, looks: tuple[int, ...]) -> Decisions:
    """looks: the minutes after which all so far is judged."""
    ours, theirs = _percent(slots.n, slots.bad), _percent(slots.other_n, slots.other_bad)
    rollback = np.full(len(ours), NEVER)
    for look in looks:
        open_ = np.flatnonzero(~np.isfinite(rollback))
        rollback[open_[high(ours[open_, :look], theirs[open_, :look])]] = look * A_MINUTE * EVERY
    judged = ~np.isnan(ours).all(-1) & ~np.isnan(theirs).all(-1) & ~np.isfinite(rollback)
    return Decisions(rollback, np.where(judged, looks[-1] * A_MINUTE * EVERY, NEVER))


def _percent(n: Array, bad: Array) -> Array:
    n, bad = minutes(n), minutes(bad)
    return np.divide(100 * bad, n, out=np.full_like(n, np.nan), where=n > 0)


def high(ours: Array, theirs: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(runs, values) of both arms → whether the rule calls each run's canary high."""
    found = np.zeros(len(ours), dtype=bool)
    for at in np.flatnonzero(_could_be_high(ours, theirs)):
        found[at] = one_high(ours[at], theirs[at])
    return found


def one_high(ours: Array, theirs: Array) -> bool:
    """The rule itself; what Kayenta cannot classify (every value tied) is not high."""
    try:
        return (
            classify(ours, theirs, direction="increase", tolerance=TOLERANCE, conf_level=CONF_LEVEL).label is Label.HIGH
        )
    except MeasurementFailed:
        return False


def _could_be_high(ours: Array, theirs: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """False only where the rank sum of the canary, moved up by more than the root finder's error, is unremarkable.

    Ties make the deviation smaller, so their correction is taken as the largest that was found among the runs.
    """
    missing = np.isnan(ours).any(-1) | np.isnan(theirs).any(-1)
    x, y = ours[..., :, None] + NEAR, theirs[..., None, :]
    wins = (x > y).sum((-1, -2)) + 0.5 * (x == y).sum((-1, -2))
    n, m = ours.shape[-1], theirs.shape[-1]
    both = np.concatenate([ours + NEAR, theirs], axis=-1)
    ties = ((both[..., :, None] == both[..., None, :]).sum(-1) ** 2 - 1).sum(-1)
    sigma = np.sqrt(n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    constant = (ours.max(-1) == ours.min(-1)) & (theirs.max(-1) == theirs.min(-1))
    return np.asarray(missing | constant | (wins - n * m / 2 - 0.5 > (QUANTILE - 0.02) * np.maximum(sigma, 1e-12)))


KAYENTA: dict[str, Judge] = {
    "Kayenta end": partial(kayenta, looks=(30,)),
    "Kayenta peek": partial(kayenta, looks=PEEKS),
}
