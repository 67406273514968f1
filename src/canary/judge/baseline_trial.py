"""Rules that compare with the baseline of the same minutes: bad events, or requests above bucket edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from canary.judge.block import NONE, Block, Tally, plus
from canary.judge.buckets import whole
from canary.judge.edges import LEARNT_BLOCKS, LEARNT_FROM, NEAR, Edge, edges
from canary.judge.profiles import INDEPENDENT, STEADY, SWIFT, Profile
from canary.judge.proof import Proof
from canary.judge.ratio import Band, Foreseen, Ratio
from canary.judge.trial import Moment
from canary.judge.wealth import Counts
from canary.judge.words import of_unit
from canary.plan.model import NoWorseThanBaseline, WorseThanBaseline

Compared = NoWorseThanBaseline | WorseThanBaseline
PROFILES = {"steady": STEADY, "swift": SWIFT, "independent": INDEPENDENT}
Four = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """One stream an edge, and what is shown of the middle one."""

    ratio: Ratio
    band: Band
    foreseen: Foreseen

    @classmethod
    def start(cls, profile: Profile, limit: tuple[float, ...], margin: float, needed: float) -> Self:
        """limit: the odds ratio that the rule allows, one an edge."""
        odds = np.array(limit)
        allowed, shape = odds * (1 + margin), (len(limit),)
        foreseen = Foreseen.start(profile, float(allowed[len(limit) // 2]), needed)
        return cls(Ratio.start(profile, allowed, odds, shape), Band.start(profile), foreseen)

    def add(self, counts: tuple[Four, ...], moment: Moment) -> Running:
        """counts: requests and bad ones of the canary, then of the baseline, one an edge."""
        every, one = Counts.of(*np.array(counts).T), Counts.of(*counts[len(counts) // 2])
        return Running(
            self.ratio.add(every, moment.minute, moment.left),
            self.band.add(one, moment.minute),
            self.foreseen.add(one, moment.minute, moment.left),
        )


@dataclass(frozen=True, slots=True, eq=False)
class BaselineTrial:
    """learnt: the baseline's histogram of so many `blocks`, until the edges are chosen; of a counter there is one
    stream, without an edge. The evidence is the mean over the edges."""

    rule: Compared
    needed: float
    learnt: Tally = NONE
    blocks: int = 0
    edges: tuple[Edge, ...] = ()
    running: Running | None = None

    @classmethod
    def start(cls, rule: Compared, needed: float) -> Self:
        """needed: the evidence that fails the rule; only what could have been seen by now depends on it."""
        return cls(rule, needed)

    def add(self, block: Block, moment: Moment) -> BaselineTrial:
        arms = block.increments.get(self.rule.measure, {})
        canary, baseline = arms.get("canary", NONE), arms.get("baseline", NONE)
        if self.running is None and (canary.buckets or baseline.buckets):
            return self._learning(baseline)
        if self.running is None:
            begun = self._with((Edge(0.0, 1 + self.rule.by),)) if baseline.total else self
            return begun._judged(canary, baseline, moment)
        return self._judged(canary, baseline, moment)

    def _learning(self, baseline: Tally) -> BaselineTrial:
        """A histogram is compared from the next block on, once its edges are chosen."""
        learnt, blocks = plus(self.learnt, baseline), self.blocks + 1
        if learnt.total < LEARNT_FROM or blocks < LEARNT_BLOCKS:
            return replace(self, learnt=learnt, blocks=blocks)
        near = NEAR if self.rule.quantile is None else (self.rule.quantile,)
        return replace(self, learnt=learnt)._with(edges(learnt, self.rule.by, near))

    def _with(self, chosen: tuple[Edge, ...]) -> BaselineTrial:
        if not chosen:
            return self
        how = self.rule.how
        profile = PROFILES.get(how.profile, STEADY)
        running = Running.start(profile, tuple(edge.odds for edge in chosen), how.margin, self.needed)
        return replace(self, edges=chosen, running=running)

    def _judged(self, canary: Tally, baseline: Tally, moment: Moment) -> BaselineTrial:
        counts = tuple(four for edge in self.edges if (four := _counts(edge, canary, baseline)))
        if self.running is None or len(counts) < len(self.edges):
            return self
        return replace(self, running=self.running.add(counts, moment))

    @property
    def harm(self) -> float:
        return float(self.running.ratio.harm.mean()) if self.running else 1.0

    @property
    def fine(self) -> float:
        return float(self.running.ratio.fine.mean()) if self.running else 1.0

    @property
    def able(self) -> bool:
        return self.running is not None

    def proof(self, needed_harm: float, needed_fine: float) -> Proof:
        low, high = self.running.band.interval if self.running else (0.0, None)
        seen = self.running.foreseen.smallest if self.running else None
        return Proof("ratio", self.harm, needed_harm, self.fine, needed_fine, self._value(), low, high, seen)

    def _value(self) -> float | None:
        """The odds ratio of what was counted, at the middle edge."""
        if self.running is None:
            return None
        n, bad, other_n, other_bad = self.running.ratio.totals[len(self.edges) // 2]
        if not (n > bad and other_n > other_bad > 0):
            return None
        return float(bad / (n - bad) * (other_n - other_bad) / other_bad)

    def caveat(self) -> str:
        if self.running is None:
            return "no bucket edge lies where it could tell the two apart" if self.learnt.total >= LEARNT_FROM else ""
        told = [f"{of_unit(edge.seconds, 'seconds')}" for edge in self.edges if edge.seconds]
        return f"compared above {', '.join(told)}" if told else ""


def _counts(edge: Edge, canary: Tally, baseline: Tally) -> Four | None:
    """None when an arm counts something, and not at this edge."""
    if not edge.seconds:
        return canary.total, min(canary.bad, canary.total), baseline.total, min(baseline.bad, baseline.total)
    ours, theirs = (_above(whole(tally), edge.seconds) for tally in (canary, baseline))
    return None if ours is None or theirs is None else (*ours, *theirs)


def _above(tally: Tally, edge: float) -> tuple[float, float] | None:
    if not tally.total:
        return 0.0, 0.0
    return (tally.total, max(tally.total - tally.buckets[edge], 0.0)) if edge in tally.buckets else None
