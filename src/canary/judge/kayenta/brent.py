"""Brent's root finder with Kayenta's steps and tolerance.

It searches a step function that seldom crosses zero at a point, and stops within 1e-4 in the metric's own unit: which
side of a step it stops at decides labels of small-valued metrics. So the path matters, and no library's will do.
"""

from __future__ import annotations

from collections.abc import Callable

Point = tuple[float, float]
"""(where, the function's value there)."""

ROUNDS = 1001
TOLERANCE = 1e-4
EPSILON = 2.220446049250313e-16


def root(function: Callable[[float], float], low: Point, high: Point) -> float:
    """Where the function crosses zero between two points of opposite signs; an end that is zero is it, low first."""
    if low[1] == 0:
        return low[0]
    before, best, across = low, high, low
    for _ in range(ROUNDS):
        last = best[0] - before[0]
        if abs(across[1]) < abs(best[1]):
            before, best, across = best, across, best
        least = 2 * EPSILON * abs(best[0]) + TOLERANCE / 2
        step = (across[0] - best[0]) / 2
        if abs(step) <= least or best[1] == 0:
            break
        if abs(last) >= least and abs(before[1]) > abs(best[1]):
            step = _interpolated(before, best, across, abs(last), least)
        if abs(step) < least:
            step = least if step > 0 else -least
        where = best[0] + step
        before, best = best, (where, function(where))
        if min(best[1], across[1]) > 0 or max(best[1], across[1]) < 0:
            across = before
    return best[0]


def _interpolated(before: Point, best: Point, across: Point, last: float, least: float) -> float:
    """The step to where the curve through the points crosses zero; if too long, or outside, half the bracket."""
    (a, at_a), (b, at_b), (c, at_c) = before, best, across
    width, fall = c - b, at_b / at_a
    if a == c:
        p, q = width * fall, 1.0 - fall
    else:
        q, t = at_a / at_c, at_b / at_c
        p = fall * (width * q * (q - t) - (b - a) * (t - 1.0))
        q = (q - 1.0) * (t - 1.0) * (fall - 1.0)
    p, q = (p, -q) if p > 0 else (-p, q)
    fits = p < 0.75 * width * q - abs(least * q) / 2 and p < last * abs(q) / 2
    return p / q if fits else width / 2
