"""How the bad events of one block fall on two arms, when their odds ratio is at most w.

A block has n_c and n_b requests and E bad events in all, x_c of them the canary's; y = x_c / E. Given E, x_c follows
Fisher's noncentral hypergeometric distribution, of which only this is used: E[x_c (n_b - x_b)] = w E[(n_c - x_c) x_b].
Arrays of any shape, elementwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def largest_share(odds: Array | float, n_c: Array, n_b: Array, bad: Array) -> Array:
    """θ_E(w): no smaller than E[y | E] for any odds ratio ≤ `odds`. n_c, n_b, bad (= E) ≥ 1.

    From the identity above with E[x_c²] ≥ E[x_c]² and Var[x_c] ≤ mu (1 − mu/E) for w ≥ 1; for w < 1 from the larger
    of E[x_c²] ≥ mu and ≥ mu². tests/judge/test_judge_odds.py holds it against the exact means.
    """
    if np.min(odds) >= 1:
        return _of_more(odds, n_c, n_b, bad)
    if np.max(odds) < 1:
        return _of_less(odds, n_c, n_b, bad)
    more = _of_more(np.maximum(odds, 1.0), n_c, n_b, bad)
    return np.where(np.asarray(odds) >= 1, more, _of_less(np.minimum(odds, 1 - 1e-9), n_c, n_b, bad))


def _of_more(odds: Array | float, n_c: Array, n_b: Array, bad: Array) -> Array:
    weighted = odds * n_c
    total = weighted + n_b
    b = total + (odds - 1) * (bad - 1)
    root = np.sqrt(np.maximum(b * b - 4 * (odds - 1) * (1 - 1 / bad) * weighted * bad, 0.0))
    return np.asarray(np.minimum(2 * weighted / (b + root), weighted / total))


def _of_less(odds: Array | float, n_c: Array, n_b: Array, bad: Array) -> Array:
    weighted, less = odds * n_c, 1 - np.asarray(odds)
    total = weighted + n_b
    first = weighted / np.maximum(total - less * (bad - 1), weighted)
    b = total - less * bad
    root = np.sqrt(b * b + 4 * less * weighted * bad)
    # Where b > 0 the same root, (−b + r) / (2 (1 − w) E), without cancellation.
    second = np.where(b > 0, 2 * weighted / np.maximum(b + root, weighted), (root - b) / (2 * less * bad))
    return np.asarray(np.minimum(np.minimum(first, second), 1.0))


def bet(odds: Array | float, better: Array, n_c: Array, n_b: Array, bad: Array, cap: float) -> Array:
    """The part of the money that is set on "more than that": the likelihood ratio's own for one bad event.

    better: by how much more the canary's odds would be, > 1.
    """
    weighted = odds * n_c
    staked = -np.expm1(bad * np.log1p(-(better - 1) * weighted / (better * weighted + n_b)))
    return np.asarray(np.minimum(staked, cap))
