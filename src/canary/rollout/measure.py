"""One tick's measurement: the increments since the last one, and what the targets show meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block
from canary.plan.model import Arms, Phase, Plan
from canary.ports import Arm, Clock, Metrics, Scrape, Verification
from canary.rollout.state import State
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Routed = dict[Arm, float]

BLOCK = 15.0
"""Seconds of plan time that one block of increments spans."""
FRESH_BLOCKS = 4
"""Evidence older than this many blocks is no evidence any more."""
SLOWEST_SCRAPE = 5.0
"""Seconds that a metrics source may take between two scrapes, however fast the plan's time runs."""


def stale_after(plan: Plan) -> float:
    """Seconds after which the newest sample is too old to decide on."""
    return max(plan.seconds(FRESH_BLOCKS * BLOCK), SLOWEST_SCRAPE)


class Meter:
    """Reads the metrics of a phase. Remembers only the targets' request counters, to take differences."""

    def __init__(self, clock: Clock, metrics: Metrics, plan: Plan, arms: Arms) -> None:
        self.clock = clock
        self.metrics = metrics
        self.plan = plan
        self.arms = arms
        self._routed: Routed | None = None

    async def warm(self, phase: Phase, now: float) -> None:
        """Read once, so that the first block has a base to take increments from. Never raises."""
        try:
            await self._read(phase, now, now)
        except MeasurementFailed:
            return

    async def block(self, phase: Phase, state: State, looked: Mapping[str, Verification]) -> Block | None:
        """The increments since the last sample; None when no new scrape of what is judged has come yet.

        Raises MeasurementFailed when the metrics cannot be read, or nothing new came for too long.
        """
        now = self.clock.now()
        since = state.sampled_at or state.phase_since
        scrapes, judged = await self._read(phase, since, now), frozenset(self.plan.judged(phase))
        # What is only watched neither ends a silence of the rest, nor moves the time up to which all was read.
        newest = max((scrape.at for scrape in scrapes if scrape.signals.keys() & judged), default=None)
        if newest is None:
            if now - since > stale_after(self.plan):
                raise MeasurementFailed(f"no new scrape since {now - since:.0f} s")
            return None
        read = [scrape for scrape in scrapes if scrape.at <= newest]
        return Block.of(newest, read, observed_share(looked), self._routed_since(looked), judged)

    async def _read(self, phase: Phase, since: float, until: float) -> Sequence[Scrape]:
        read = self.metrics.read(self.plan.measures(phase), self.arms, since, until)
        try:
            return await within(self.clock, PROVIDER_TIMEOUT, read)
        except TimeoutError:
            raise MeasurementFailed(f"no answer within {PROVIDER_TIMEOUT:.0f} s") from None

    def _routed_since(self, looked: Mapping[str, Verification]) -> Routed | None:
        """Requests sent to each arm since the last tick, over all targets that count; None when not known."""
        now = total_routed(looked)
        if now is None:
            return None
        before, self._routed = self._routed, now
        if before is None:
            return None
        return {arm: value - before[arm] if value >= before[arm] else value for arm, value in now.items()}


def total_routed(looked: Mapping[str, Verification]) -> Routed | None:
    """Requests sent to each arm so far, over all targets that count them; None when none does."""
    counting = [v.routed for v in looked.values() if v.routed is not None]
    if not counting:
        return None
    return {
        "canary": sum(r.get("canary", 0.0) for r in counting),
        "baseline": sum(r.get("baseline", 0.0) for r in counting),
    }


def observed_share(looked: Mapping[str, Verification]) -> float | None:
    """The smallest share that a target which splits users shows: what the canary can at least expect."""
    shares = [v.observed for v in looked.values() if v.observed is not None]
    fractions = [share for share in shares if 0 < share < 1]
    return min(fractions or shares, default=None)


@dataclass(frozen=True, slots=True)
class Drift:
    """Targets that do not show what was asked; `higher` when any shows more."""

    targets: Mapping[str, Verification]
    higher: bool


def drift(looked: Mapping[str, Verification], asked: float) -> Drift | None:
    """None when every target that answered shows what it was asked for."""
    off = {name: v for name, v in looked.items() if v.answer == "no"}
    if not off:
        return None
    return Drift(off, any(v.observed is not None and v.observed > asked for v in off.values()))
