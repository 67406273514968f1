"""Every small block, exactly: how much any form of evidence can be expected to grow while all is as allowed.

Arms of n and m requests with E bad events in all: which of them the suspected arm has follows Fisher's noncentral
hypergeometric distribution, whatever the shares are, so its expectation given E bounds every case. Each strategy of
each lane is asked by itself, at the largest odds that its margin allows and below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from canary.judge.bound import BETTER, WORSE, evidence
from canary.judge.odds import Array
from canary.judge.profiles import FINE, INDEPENDENT, STEADY, SWIFT, Lane, Profile
from canary.judge.wealth import Counts, Wealth

LIMIT = 1 + 1e-9
MOST, OTHERS = 12, 30
ALLOWED = (1.0, 1.25, 2.0, 4.0)
BELOW = (1.0, 0.8, 0.3)
GOALS = (0.01, 1.0, 50.0)


@dataclass(frozen=True, slots=True)
class Form:
    """most: the largest expected factor found over `blocks` blocks and all odds tried."""

    form: str
    blocks: int
    most: float


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Every outcome of every block: its counts, which block it is, and the log of its weight at odds 1."""

    counts: Counts
    block: NDArray[np.int64]
    log: Array

    def expected(self, factor: Array, odds: float) -> float:
        """The largest mean of a factor (outcomes, …) over the blocks, at these true odds."""
        logs = self.log + self.counts.bad * np.log(odds)
        top = np.full(self.block[-1] + 1, -np.inf)
        np.maximum.at(top, self.block, logs)
        weight = np.exp(logs - top[self.block])
        whole = np.bincount(self.block, weight)
        columns = factor.reshape(len(weight), -1).T
        return max(float((np.bincount(self.block, weight * column) / whole).max()) for column in columns)


@lru_cache(maxsize=4)
def blocks(most: int, others: int) -> Blocks:
    """All with 1 … most requests of the suspected arm and 1 … others of the other, and at least one bad event."""
    rows = [
        (n, x, m, bad - x)
        for n in range(1, most + 1)
        for m in range(1, others + 1)
        for bad in range(1, n + m + 1)
        for x in range(max(0, bad - m), min(n, bad) + 1)
    ]
    n, x, m, y = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    key = (n * (others + 1) + m) * (most + others + 1) + x + y
    return Blocks(Counts(n, x, m, y), np.unique(key, return_inverse=True)[1], _choose(n, x) + _choose(m, y))


def _choose(n: Array, k: Array) -> Array:
    logs = np.array([lgamma(each + 1) for each in range(int(n.max()) + 1)])
    n, k = n.astype(int), k.astype(int)
    return np.asarray(logs[n] - logs[k] - logs[n - k])


def forms(most: int = MOST, others: int = OTHERS) -> Iterator[Form]:
    """Every form of evidence of the judge, both sides."""
    every = blocks(most, others)
    for name, profile in (("steady", STEADY), ("swift", SWIFT), ("independent", INDEPENDENT)):
        for lane in profile.lanes:
            yield _form(f"{name}, odds up to ×{lane.margin}", every, _strategies(profile, lane), ALLOWED, lane.margin)
        yield _form(f"{name}, whole", every, _whole(profile), ALLOWED)
    yield _form("swift, reaching the goal", every, _goal, ALLOWED)
    below_one = tuple(1 / odds for odds in ALLOWED[1:])
    yield _form("green, whole", every, _whole(FINE), below_one)
    for name, profile in (("green", FINE), ("steady", STEADY), ("swift", SWIFT), ("independent", INDEPENDENT)):
        yield _form(
            f"{name}, odds below 1", every, _strategies(profile, profile.lanes[0]), below_one, profile.lanes[0].margin
        )
    yield from _clusters()


def _form(
    name: str, every: Blocks, factor: Callable[[Counts, float], Array], allowed: tuple[float, ...], margin: float = 1.0
) -> Form:
    found = [
        every.expected(won, odds * margin * below)
        for odds in allowed
        for won in [factor(every.counts, odds)]
        for below in BELOW
    ]
    return Form(name, int(every.block[-1]) + 1, max(found))


def _strategies(profile: Profile, lane: Lane) -> Callable[[Counts, float], Array]:
    """Each tilt by itself, with all of the money."""

    def factor(counts: Counts, odds: float) -> Array:
        alone = [
            Profile(lanes=(replace(lane, share=1.0),), better=(tilt,), exact=profile.exact) for tilt in profile.better
        ]
        return np.stack([_whole(each)(counts, odds) for each in alone], axis=-1)

    return factor


def _whole(profile: Profile) -> Callable[[Counts, float], Array]:
    return lambda counts, odds: Wealth.start(profile, odds, counts.n.shape).add(counts, 0, 120).owned


def _goal(counts: Counts, odds: float) -> Array:
    """All of the money plays for the goal, from little to half of it, late and early."""
    start = Wealth.start(replace(SWIFT, goal=1.0), odds, counts.n.shape)
    rich = [replace(start, goal=start.goal * owned, began=start.began * owned) for owned in GOALS]
    won = [each.add(counts, 0, left).owned / each.owned for each in rich for left in (1, 120)]
    return np.stack(won, axis=-1)


def _clusters() -> Iterator[Form]:
    """One cause brings S ≤ D bad requests or one good one; the share of bad requests is at the limit or beyond it."""
    limits, declared = (0.001, 0.01, 0.05, 0.3), (1, 2, 4, 8)
    for name, times, toward in (("bound, harm", WORSE, (1.0, 0.5)), ("bound, green", BETTER, (1.0, 1.5, 3.0))):
        found = [
            _cluster(limit, most, np.array([each]), size, min(limit * part, 0.99))
            for limit in limits
            for most in declared
            for size in range(1, most + 1)
            for part in toward
            for each in times
        ]
        yield Form(name, len(found), max(found))


def _cluster(limit: float, declared: int, times: Array, size: int, share: float) -> float:
    cause = share / (size * (1 - share) + share)
    bad, good = (float(evidence(limit, declared, times, n, x)) for n, x in ((size, size), (1, 0)))
    return cause * bad + (1 - cause) * good
