"""Evidence on a share of bad events against a fixed limit p*, in the cluster form.

Bad events that share a cause (a request and its retries) come in clusters of at most D. The likelihood ratio of
q against p*, to the power 1/D, is then on average at most 1 as long as no more than p* are bad: a cluster of S ≤ D
bad events brings (S/D)(q/p* − 1) + 1 at the most (Jensen), and those of the good ones make up for it. Both sides.

It is a function of two counts alone, so that nothing depends on how they were cut into blocks. Every 8 blocks a
part of what was kept back starts anew, for a harm that begins late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from canary.judge.odds import Array

CLUSTER = 4
"""Bad events that one cause may bring, unless the plan says otherwise: a request and three retries."""
WORSE = np.array([1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0])
BETTER = np.array([0.05, 0.15, 0.3, 0.5])
AT_ONCE, AGAIN, EVERY = 0.6, 0.08, 8
LARGEST = 1 - 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """What was counted in streams of one shape, against `limit` (0–1, exclusive).

    n, surely: requests, and bad ones of them that the measure is sure of; maybe: those it cannot exclude, too.
    parts: of the money, that were put in; at: n and surely (second axis) at those moments, one row a part.
    """

    limit: float
    cluster: int
    n: Array
    surely: Array
    maybe: Array
    parts: Array
    at: Array
    kept: float
    blocks: int

    @classmethod
    def start(cls, limit: float, cluster: int = CLUSTER, shape: tuple[int, ...] = ()) -> Self:
        """Before the first block. Raises ValueError for a limit that is no share between 0 and 1."""
        if not 0 < limit < 1 or cluster < 1:
            raise ValueError(f"a limit lies between 0 and 1, a cluster holds at least 1: {limit}, {cluster}")
        none = np.zeros(shape)
        return cls(limit, cluster, none, none, none, np.array([AT_ONCE]), np.zeros((1, 2, *shape)), 1 - AT_ONCE, 0)

    def add(self, n: Array | float, surely: Array | float, maybe: Array | float | None = None) -> Bound:
        """After one more block of n requests."""
        begun = self._begun() if self.blocks and self.blocks % EVERY == 0 else self
        return replace(
            begun,
            n=self.n + n,
            surely=self.surely + surely,
            maybe=self.maybe + (surely if maybe is None else maybe),
            blocks=self.blocks + 1,
        )

    def _begun(self) -> Bound:
        """With a part of what was kept, put in now."""
        at = np.concatenate([self.at, np.stack([self.n, self.surely])[None]])
        return replace(self, parts=np.append(self.parts, self.kept * AGAIN), at=at, kept=self.kept * (1 - AGAIN))

    @property
    def harm(self) -> Array:
        """Evidence that more than `limit` are bad; rightly above 1/α with a chance of α at most, ever."""
        won = evidence(self.limit, self.cluster, WORSE, self.n - self.at[:, 0], self.surely - self.at[:, 1])
        return np.asarray(np.tensordot(self.parts, won, axes=1) + self.kept)

    @property
    def fine(self) -> Array:
        """Evidence that fewer than `limit` are bad, since the first block."""
        return evidence(self.limit, self.cluster, BETTER, self.n, self.maybe)


def evidence(limit: float | Array, cluster: int, times: Array, n: Array | float, bad: Array | float) -> Array:
    """The mean of the likelihood ratios of `times` × limit against the limit, each to the power 1/cluster."""
    limit, n, bad = (np.asarray(each, dtype=np.float64)[..., None] for each in (limit, n, bad))
    other = np.minimum(limit * times, LARGEST)
    logs = (bad * np.log(other / limit) + (n - bad) * np.log((1 - other) / (1 - limit))) / cluster
    return np.asarray(np.exp(np.minimum(logs, 600.0)).mean(-1))


SHARES = np.geomspace(1e-7, 0.999, 160)


def interval(n: float, bad_low: float, bad_high: float, cluster: int, alpha: float = 0.05) -> tuple[float, float]:
    """Shares that hold the true one at every look with probability 1 − alpha: those not yet disproved, both sides."""
    if not n:
        return 0.0, 1.0
    worse = evidence(SHARES, cluster, WORSE, n, bad_low) >= 2 / alpha
    better = evidence(SHARES, cluster, BETTER, n, bad_high) >= 2 / alpha
    low = float(SHARES[worse][-1]) if worse.any() else 0.0
    high = float(SHARES[better][0]) if better.any() else 1.0
    return low, max(low, high)


def seen_by_now(limit: float, n: float, cluster: int, needed: float) -> float | None:
    """The smallest share above the limit that n requests would have shown in nine of ten runs; None: none."""
    shares = np.minimum(limit * np.geomspace(1.02, 1 / limit, 80), LARGEST)
    unlucky = np.maximum(n * shares - 1.28 * np.sqrt(n * shares * (1 - shares)), 0.0)
    shown = AT_ONCE * evidence(limit, cluster, WORSE, np.full(80, n), unlucky) >= needed
    return float(shares[shown.argmax()]) if shown.any() else None
