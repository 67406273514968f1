"""A rule on a ready-made number: how many windows it has, and how many it would need. Exact, without traffic.

Each window tells only which arm's value is beyond the limit, so that few of them can never decide.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from canary.judge.odds import Array
from canary.judge.power.cell import Setting
from canary.judge.sign_trial import STAKES, SignTrial
from canary.judge.terms import BLOCK, MINUTE
from canary.plan.model import NoWorseThanBaseline, WorseThanBaseline

SURE = 0.9
LOOKED_AT = 2000
"""Windows after which nobody looks further for the number that would do."""


@dataclass(frozen=True, slots=True)
class Signs:
    """windows: in the phase, of `window` seconds. to_fail, to_pass: of them, all on one side, before the rule can be
    broken or shown. detected: share of windows beyond the limit that is found with 90 % within the phase, 0–1, and
    `power` the exact chance of that; None and 0: none is."""

    window: float
    windows: int
    to_fail: int
    to_pass: int
    detected: float | None
    power: float


def signs(rule: WorseThanBaseline | NoWorseThanBaseline, minutes: float, setting: Setting) -> Signs:
    """minutes: of plan time that one value sums up."""
    length = max(minutes, 1.0)
    windows = int((setting.blocks - setting.warm) * BLOCK / MINUTE // length)
    to_fail, to_pass = (_all_alike(rule, minutes, needed) for needed in (setting.needed_harm, setting.terms.fine))
    won, shares = _won(windows), np.linspace(0.5, 1.0, 101)
    at = bisect_left(shares, SURE, key=lambda share: _power(won, float(share), setting.needed_harm))
    if at == len(shares):
        return Signs(length * MINUTE, windows, to_fail, to_pass, None, 0.0)
    share = float(shares[at])
    return Signs(length * MINUTE, windows, to_fail, to_pass, share, _power(won, share, setting.needed_harm))


def _all_alike(rule: WorseThanBaseline | NoWorseThanBaseline, minutes: float, needed: float) -> int:
    return next(
        (n for n in range(1, LOOKED_AT) if SignTrial(rule, minutes, windows=n, beyond=n).harm >= needed), LOOKED_AT
    )


def _won(windows: int) -> Array:
    """Evidence by windows so far (rows) and how many of them were beyond; what cannot be is 0."""
    seen, beyond = np.indices((windows + 1, windows + 1))
    logs = beyond[..., None] * np.log1p(STAKES) + (seen - beyond)[..., None] * np.log1p(-STAKES)
    return np.asarray(np.where(beyond <= seen, np.exp(np.minimum(logs, 600.0)).mean(-1), 0.0))


def _power(won: Array, share: float, needed: float) -> float:
    """The chance that the evidence is ever there, when each window is beyond with that chance."""
    left = np.zeros(len(won))
    left[0], found = 1.0, 0.0
    for seen in range(1, len(won)):
        left = left * (1 - share) + np.concatenate([[0.0], left[:-1]]) * share
        found += float(left[won[seen] >= needed].sum())
        left = np.where(won[seen] >= needed, 0.0, left)
    return found
