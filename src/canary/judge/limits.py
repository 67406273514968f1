"""A share of bad events against a limit: exact arithmetic, and the floor below which nobody can tell."""

from __future__ import annotations

import math
from fractions import Fraction

from canary.judge.verdict import Outcome

LEAST = 100
EXPECTED_BAD = 5


def exact(share: float) -> Fraction:
    """The share as it was written: 0.07 is 7/100, so that 7 of 100 is not below 7 % by a rounding error."""
    return Fraction(share).limit_denominator(10**9)


def floor_of(limit: Fraction) -> int:
    """Requests below which a rate passes nothing: enough for 5 bad ones at the limit, and at least 100.

    With fewer, a canary at twice the limit still often shows no more bad events than the limit allows.
    """
    return max(LEAST, math.ceil(EXPECTED_BAD / limit)) if limit else LEAST


def held(total: float, surely_bad: float | None, maybe_bad: float | None, limit: Fraction, beyond: bool) -> Outcome:
    """Whether the bad share of `total` keeps the limit: below it, or with `beyond`, not above it.

    surely_bad ≤ the bad ones ≤ maybe_bad; None where there is no such bound. FAIL as soon as the limit can no
    longer be kept at the floor, even if every request until then were good.
    """
    if not total and not surely_bad:
        return Outcome.NO_DATA
    floor = floor_of(limit)
    if surely_bad is not None and _breaks(surely_bad, limit * max(Fraction(total), Fraction(floor)), beyond):
        return Outcome.FAIL
    if not total:
        return Outcome.NO_DATA
    if total < floor or maybe_bad is None or _breaks(maybe_bad, limit * Fraction(total), beyond):
        return Outcome.UNDECIDED
    return Outcome.PASS


def _breaks(bad: float, allowed: Fraction, beyond: bool) -> bool:
    found = Fraction(bad)
    return found > allowed if beyond else found >= allowed
