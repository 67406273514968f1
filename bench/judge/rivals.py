"""What others would have decided on the same stream. README.md beside this says how each was set.

Those that have no third answer promote at the end whatever they did not roll back.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from bench.judge.cell import Bound, Errors
from bench.judge.decisions import A_MINUTE, NEVER, Decisions, Judge, at_the_end, first, minutes, unless
from bench.judge.ours import ALPHA
from bench.judge.scrapes import EVERY, SLOTS, Slots
from canary.judge.odds import Array

Z = 2.3263478740408408
"""One-sided 1 %."""
ARGO_SUCCESS, ARGO_FAILURES = 0.95, 3
FLAGGER_SUCCESS, FLAGGER_FAILURES = 0.99, 5
TUNED = 2.0
"""A tuned threshold fails a minute with more than this many times the true share of bad requests."""
CALIBRATED = 20_000
LEAST_TOTAL, LEAST_CHANGE, TUNING, ITS_ALPHA = 150, 0.005, 5000, 0.05


def _shares(slots: Slots) -> Array:
    """The canary's share of bad requests in each minute; NaN without requests."""
    n, bad = minutes(slots.n), minutes(slots.bad)
    return np.divide(bad, n, out=np.full_like(n, np.nan), where=n > 0)


def argo(cell: Errors | Bound, slots: Slots, tuned: bool) -> Decisions:
    """A sample a minute, 30 of them; failed at the fourth failure. NaN meets no condition, so it is a failure."""
    allowed = TUNED * cell.bad if tuned else 1 - ARGO_SUCCESS
    failed = np.cumsum(~(_shares(slots) <= allowed), axis=-1) > ARGO_FAILURES
    rollback = first(failed, A_MINUTE)
    return Decisions(rollback, unless(rollback))


def flagger(cell: Errors | Bound, slots: Slots, tuned: bool) -> Decisions:
    """A look a minute; no data fails, too. The fifth failed look is acted on at the look after it."""
    allowed = TUNED * cell.bad if tuned else 1 - FLAGGER_SUCCESS
    failed = np.cumsum(~(_shares(slots) <= allowed), axis=-1) >= FLAGGER_FAILURES
    rollback = first(np.concatenate([np.zeros_like(failed[:, :1]), failed[:, :-1]], axis=-1), A_MINUTE)
    return Decisions(rollback, unless(rollback))


def _pooled(slots: Slots) -> Array:
    """The two-proportion z of all minutes so far, one a minute; 0 where it does not exist."""
    n, bad, other, other_bad = (
        np.cumsum(minutes(each), -1) for each in (slots.n, slots.bad, slots.other_n, slots.other_bad)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (bad + other_bad) / (n + other)
        z = (bad / n - other_bad / other) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other))
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)


def repeated_z(cell: Errors | Bound, slots: Slots) -> Decisions:
    """The fixed test, asked every minute until it says yes."""
    rollback = first(_pooled(slots) > Z, A_MINUTE)
    return Decisions(rollback, unless(rollback))


def fixed_z(cell: Errors | Bound, slots: Slots) -> Decisions:
    """The same test, asked once, at the end."""
    rollback = at_the_end(_pooled(slots)[:, -1] > Z)
    return Decisions(rollback, unless(rollback))


def oracle(cell: Errors | Bound, slots: Slots) -> Decisions:
    """Group-sequential with Pocock's constant boundary, simulated for the cell's own truth, without dependence."""
    rollback = first(_conditional(slots.n, slots.bad, slots.other_n, slots.other_bad) > _boundary(cell))
    return Decisions(rollback, np.full_like(rollback, NEVER))


def _conditional(n: Array, bad: Array, other_n: Array, other_bad: Array) -> Array:
    """z of the canary's bad events given those of both, slot by slot."""
    total = bad + other_bad
    theta = n / np.maximum(n + other_n, 1)
    excess = np.cumsum(bad - theta * total, -1)
    spread = np.cumsum(theta * (1 - theta) * total, -1)
    return np.asarray(excess / np.sqrt(np.maximum(spread, 1e-9)))


def _boundary(cell: Errors | Bound) -> float:
    canary, baseline = cell.arms
    return _calibrated(cell.rps, cell.bad, canary / (canary + baseline))


@lru_cache(maxsize=64)
def _calibrated(rps: float, bad: float, share: float) -> float:
    """The value that the largest of all looks exceeds with α at most."""
    draw = np.random.default_rng(2)
    most = []
    for _ in range(10):
        arms = []
        for part in (share, 1 - share):
            n = draw.poisson(rps * EVERY * part, (CALIBRATED // 10, SLOTS))
            arms += [n.astype(np.float64), draw.binomial(n, bad).astype(np.float64)]
        most.append(_conditional(*arms).max(-1))
    return float(np.quantile(np.concatenate(most), 1 - ALPHA, method="higher"))


def growthbook(cell: Errors | Bound, slots: Slots) -> Decisions:
    """A safe rollout's guardrail, one-sided sequential bound on the difference of shares, looked at every minute."""
    n, bad, other, other_bad = (
        np.cumsum(minutes(each), -1) for each in (slots.n, slots.bad, slots.other_n, slots.other_bad)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, theirs = bad / n, other_bad / other
        error = np.sqrt(ours * (1 - ours) / n + theirs * (1 - theirs) / other)
        change = (ours - theirs) / theirs
        harm = (ours - theirs - _half_width(error, n + other) > 0) & (n + other >= LEAST_TOTAL)
        harm &= (other_bad > 0) & (np.abs(change) >= LEAST_CHANGE)
    rollback = first(harm, A_MINUTE)
    return Decisions(rollback, unless(rollback))


def _half_width(error: Array, total: Array) -> Array:
    log = -2 * np.log(2 * ITS_ALPHA)
    rho = (log + np.log(1 + log)) / TUNING
    scaled = total * rho + 1
    root = 2 * scaled / (total * rho) * np.log(1 + np.sqrt(scaled) / (2 * ITS_ALPHA))
    return np.asarray(error * np.sqrt(root))


RIVALS: dict[str, Judge] = {
    "Argo static": partial(argo, tuned=False),
    "Argo tuned": partial(argo, tuned=True),
    "Flagger static": partial(flagger, tuned=False),
    "Flagger tuned": partial(flagger, tuned=True),
    "repeated z": repeated_z,
    "fixed z": fixed_z,
    "oracle": oracle,
    "GrowthBook": growthbook,
}
