"""A rule on a ready-made number: how many windows it has, and how many it would need. Exact, without traffic.

Each window tells only which arm's value is beyond the limit, so that few of them can never decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canary.judge.odds import Array
from canary.judge.power.cell import Setting
from canary.judge.sign_trial import SignTrial
from canary.judge.terms import BLOCK, MINUTE
from canary.plan.model import NoWorseThanBaseline, WorseThanBaseline

SURE = 0.9
LOOKED_AT = 2000
"""Windows after which nobody looks further for the number that would do."""


@dataclass(frozen=True, slots=True)
class Signs:
    """windows: in the phase, of `window` seconds. to_fail, to_pass: of them, all on one side, before the rule can be
    broken or shown. detected: share of windows beyond the limit that is found with 90 % within the phase, 0–1, and
    `power` is the exact chance; None: none."""

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
    won = _won(rule, minutes, windows)
    shares = np.linspace(0.5, 1.0, 101)
    powers = [_power(won, float(share), setting.needed_harm) for share in shares]
    at = next((n for n, power in enumerate(powers) if power >= SURE), None)
    return Signs(length * MINUTE, windows, to_fail, to_pass, None if at is None else float(shares[at]), powers[at or 0])


def _all_alike(rule: WorseThanBaseline | NoWorseThanBaseline, minutes: float, needed: float) -> int:
    return next(
        (n for n in range(1, LOOKED_AT) if SignTrial(rule, minutes, windows=n, beyond=n).harm >= needed), LOOKED_AT
    )


def _won(rule: WorseThanBaseline | NoWorseThanBaseline, minutes: float, windows: int) -> Array:
    """Evidence by windows so far and how many of them were beyond."""
    harm = np.zeros((windows + 1, windows + 1))
    for seen in range(1, windows + 1):
        for beyond in range(seen + 1):
            harm[seen, beyond] = SignTrial(rule, minutes, windows=seen, beyond=beyond).harm
    return harm


def _power(won: Array, share: float, needed: float) -> float:
    """The chance that the evidence is ever there, when each window is beyond with that chance."""
    left = np.zeros(len(won))
    left[0], found = 1.0, 0.0
    for seen in range(1, len(won)):
        left = left * (1 - share) + np.concatenate([[0.0], left[:-1]]) * share
        found += float(left[won[seen] >= needed].sum())
        left = np.where(won[seen] >= needed, 0.0, left)
    return found
