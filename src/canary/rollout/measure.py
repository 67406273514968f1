"""One tick's measurement: the increments since the last one, and what the targets show meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block
from canary.plan.model import Arms, Phase, Plan
from canary.ports import Arm, Clock, Metrics, Scrape, Verification
from canary.rollout import events as e
from canary.rollout.state import State
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Routed = dict[Arm, float]

BLOCK = 15.0
"""Seconds of plan time that one block of increments spans."""
FRESH_BLOCKS = 4
"""Evidence older than this many blocks is no evidence any more."""
ARRIVES = 0.5
"""Seconds after the end of a slot at which it is read; a source that is scraped by reading counts it as the end."""
SLOWEST_SCRAPE = 5.0
"""Seconds that a metrics source may take between two scrapes, however fast the plan's time runs."""


def stale_after(plan: Plan) -> float:
    """Seconds after which the newest sample is too old to decide on."""
    return max(plan.seconds(FRESH_BLOCKS * BLOCK), SLOWEST_SCRAPE)


@dataclass(frozen=True, slots=True)
class Slots:
    """Time cut into blocks, by the clock of plan time: slot n ends at (n + 1) × `length`, real seconds, and its end
    belongs to it."""

    length: float

    def of(self, at: float) -> int:
        """The slot in which something was measured."""
        near = round(at / self.length)
        return near if self.end(near - 1) < at else near - 1 if self.end(near - 2) < at else near - 2

    def end(self, slot: int) -> float:
        return (slot + 1) * self.length

    def ended(self, now: float) -> int:
        """The last slot that is over."""
        slot = self.of(now)
        return slot if self.end(slot) <= now else slot - 1

    def until_next(self, now: float) -> float:
        """Seconds until the next slot is over, and what is measured at its end has had a moment to arrive."""
        return self.end(self.ended(now) + 1) - now + min(ARRIVES, self.length / 20)


class Meter:
    """Reads the metrics of a phase. Remembers only the targets' request counters, to take differences."""

    def __init__(self, clock: Clock, metrics: Metrics, plan: Plan, arms: Arms) -> None:
        self.clock = clock
        self.metrics = metrics
        self.plan = plan
        self.arms = arms
        self.slots = Slots(plan.seconds(BLOCK))
        self._routed: Routed | None = None

    async def warm(self, phase: Phase, now: float) -> None:
        """Read once, so that the first block has a base to take increments from. Never raises."""
        try:
            await self._read(phase, now, now)
        except MeasurementFailed:
            return

    async def blocks(self, phase: Phase, state: State, looked: Mapping[str, Verification]) -> list[Block]:
        """One block for each slot of plan time that ended since the last one and holds a scrape of what is judged.

        A slot is cut by the times of the scrapes alone: what a block holds does not depend on when it was asked for.
        Raises MeasurementFailed when the metrics cannot be read, or nothing new came for too long.
        """
        now = self.clock.now()
        since, until = state.sampled_at or state.phase_since, self.slots.end(self.slots.ended(now))
        if until <= since:
            return []
        scrapes, judged = await self._read(phase, since, until), frozenset(self.plan.judged(phase))
        # What is only watched neither ends a silence of the rest, nor moves the time up to which all was read.
        newest = max((scrape.at for scrape in scrapes if scrape.signals.keys() & judged), default=None)
        if newest is None:
            if now - since > stale_after(self.plan):
                raise MeasurementFailed(f"no new scrape since {now - since:.0f} s")
            return []
        last, routed = self.slots.of(newest), self._routed_since(looked)
        share, of_slot = observed_share(looked), groupby(scrapes, key=lambda scrape: self.slots.of(scrape.at))
        return [
            Block.of(self.slots.end(slot), [*group], share, routed if slot == last else _earlier(routed), judged)
            for slot, group in of_slot
            if slot <= last
        ]

    async def differing(self, phase: Phase, state: State) -> e.SamplesDiffer | None:
        """What the source tells otherwise of the blocks that an earlier conductor measured, or None.

        Each is compared with as many of its slots as the source still has; one without a memory has none. The first
        block began before the soak did. Never raises.
        """
        trail = state.evidence.trail[1:]
        if not trail:
            return None
        try:
            scrapes = await self._read(phase, state.soak_since, trail[-1].at)
        except MeasurementFailed:
            return None
        judged = frozenset(self.plan.judged(phase))
        of_slot = groupby(scrapes, key=lambda scrape: self.slots.of(scrape.at))
        told = {self.slots.end(slot): Block.of(0.0, [*group], judged=judged).increments for slot, group in of_slot}
        compared = [block for block in trail if block.at in told]
        differing = tuple(block.at for block in compared if told[block.at] != block.increments)
        return e.SamplesDiffer(blocks=differing, compared=len(compared)) if differing else None

    def gap(self, until: float, trail: Sequence[Block]) -> e.EvidenceGap | None:
        """What is missing in the trail behind the block that ended then, or None."""
        since = next((block.at for block in trail if block.at > until), None)
        if since is None or self.slots.of(since) == self.slots.of(until) + 1:
            return None
        return e.EvidenceGap(since=until, until=self.slots.end(self.slots.of(since) - 1))

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


def _earlier(routed: Routed | None) -> Routed | None:
    """What the earlier slots of one tick say: the tick counted them, and the last one holds it all."""
    return None if routed is None else dict.fromkeys(routed, 0.0)


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
