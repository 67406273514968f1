"""The soak: measure, judge and look at the targets, block after block, until the journal's `due`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import reduce

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block, Evidence
from canary.judge.literal import Judge
from canary.judge.verdict import Outcome, PhaseVerdict
from canary.plan.model import Phase, Plan
from canary.ports import Verification
from canary.rollout import events as e
from canary.rollout.adapters import Adapters
from canary.rollout.effects import look_at_all, shown
from canary.rollout.features import smallest_step
from canary.rollout.judging import JudgeOf
from canary.rollout.measure import BLOCK, Meter, drift
from canary.rollout.record import Record
from canary.rollout.retreat import Retreat
from canary.rollout.waiting import pause, unless

OBSERVE_EVERY = 1.0
"""Seconds that a look at the targets is good for: Envoy's published rate (design I4). A calm soak looks
once a block."""
JUDGED_EVERY = 4
"""Blocks after which a verdict is journaled even when only its numbers changed."""


class Soak:
    """Ticks for the phase that has the users. Its memory is the journal's; it keeps only the last look."""

    def __init__(
        self,
        plan: Plan,
        record: Record,
        adapters: Adapters,
        retreat: Retreat,
        news: asyncio.Event,
        judge_of: JudgeOf,
    ) -> None:
        self.plan = plan
        self.record = record
        self.clock = record.clock
        self.targets = adapters.targets
        self.metrics = adapters.metrics
        self.retreat = retreat
        self.news = news
        self.judge_of = judge_of
        self._meter: Meter | None = None
        self._judges: dict[str, Judge] = {}
        self._looked: Mapping[str, Verification] = {}
        self._looked_at = float("-inf")
        self._blocks_unsaid = 0
        self._begun = False

    async def warm(self, phase: Phase) -> None:
        """Before users come: read the metrics once, so that the very first request after it counts."""
        await self.meter.warm(phase, self.clock.now())

    @property
    def meter(self) -> Meter:
        if self._meter is None:
            state = self.record.state
            arms = self.plan.arms.resolve(state.version, state.stable_version)
            self._meter = Meter(self.clock, self.metrics, self.plan, arms)
        return self._meter

    async def tick(self) -> None:
        """One block: what was seen is journaled; a FAIL sends exposure 0, or switches the one feature off that it comes
        from, before this returns."""
        trail = self.record.state.evidence.trail
        seen = await unless(self.news, self._see())
        if seen is None:
            return
        events, verdict = seen
        if verdict and verdict.outcome is Outcome.FAIL:
            await self._go_back(verdict, events)
            return
        if events:
            await self.record.tell(*events)
        if self.record.state.evidence.trail is not trail and not self._begun:
            self._begun = True
            if trail:
                await self._go_on(trail[-1].at)
        if not self.record.state.shown:
            return
        now, due = self.clock.now(), self.record.state.due
        wait = self.meter.slots.until_next(now)
        await pause(self.clock, min(wait, due - now) if now < due else wait, self.news)

    async def _go_back(self, verdict: PhaseVerdict, events: Sequence[e.Event]) -> None:
        """By the smallest step that can help."""
        state = self.record.state
        blocks = [Block.from_data(event.block) for event in events if isinstance(event, e.Sampled)]
        evidence = reduce(Evidence.add, blocks, state.evidence)
        off = smallest_step(self.plan, self._soaking(), state, evidence, verdict)
        if off is None:
            await self.retreat.lower("fail", verdict.reason, before=events)
        else:
            await self.retreat.leave_out(off, before=events)

    async def _see(self) -> tuple[list[e.Event], PhaseVerdict | None]:
        await self._look()
        drifted = self._drifted()
        try:
            blocks = await self.meter.blocks(self._soaking(), self.record.state, self._looked)
        except MeasurementFailed as error:
            return [*drifted, *self._blind(error)], None
        if not blocks:
            return drifted, None
        events, verdict = self._judged(blocks)
        return [*drifted, *self._sighted(), *events], verdict

    async def _go_on(self, until: float) -> None:
        """Once, when this conductor goes on with what another one has measured, up to that time; behind its first own
        look, which may have to lower."""
        gap = self.meter.gap(until, self.record.state.evidence.trail)
        if gap is not None:
            await self.record.tell(gap)
        differ = await unless(self.news, self.meter.differing(self._soaking(), self.record.state))
        if differ is not None:
            await self.record.tell(differ)

    async def _look(self) -> None:
        now = self.clock.monotonic()
        if now - self._looked_at < OBSERVE_EVERY:
            return
        state = self.record.state
        self._looked = await look_at_all(self.clock, self.targets, state.release, state.asked)
        self._looked_at = now

    def _drifted(self) -> list[e.Event]:
        state = self.record.state
        found = drift(self._looked, state.asked)
        if found is None or not state.shown:
            return []
        self._looked_at = float("-inf")
        return [e.ExposureDrifted(asked=state.asked, targets=shown(found.targets))]

    def _judged(self, blocks: Sequence[Block]) -> tuple[list[e.Event], PhaseVerdict]:
        state, phase = self.record.state, self._soaking()
        evidence = reduce(Evidence.add, blocks, state.evidence)
        if phase.name not in self._judges:
            self._judges[phase.name] = self.judge_of(self.plan, phase)
        verdict = self._judges[phase.name].judge(phase.criteria, phase.triggers, evidence, traffic=self.plan.traffic)
        events: list[e.Event] = [e.Sampled(block=block.to_data()) for block in blocks]
        changed = state.verdict is None or state.verdict.outcome is not verdict.outcome
        if changed or self._worth_saying(state.verdict, verdict):
            events.append(e.Judged(phase=phase.name, changed=changed, verdict=verdict.to_data()))
        return events, verdict

    def _worth_saying(self, before: PhaseVerdict | None, now: PhaseVerdict) -> bool:
        self._blocks_unsaid += 1
        rules_changed = before is None or _outcomes(before) != _outcomes(now)
        last = self.clock.now() >= self.record.state.due - self.plan.seconds(2 * BLOCK)
        if not (rules_changed or last or self._blocks_unsaid >= JUDGED_EVERY):
            return False
        self._blocks_unsaid = 0
        return True

    def _blind(self, error: MeasurementFailed) -> list[e.Event]:
        """Said once per outage."""
        if self.record.state.blind_since is not None:
            return []
        return [e.MeasurementFailed(reason=error.what)]

    def _sighted(self) -> list[e.Event]:
        since = self.record.state.blind_since
        return [] if since is None else [e.MeasurementBack(blind_seconds=self.clock.now() - since)]

    def _soaking(self) -> Phase:
        return self._phase(self.record.state.soaking)

    def _phase(self, name: str) -> Phase:
        return next(phase for phase in self.plan.phases if phase.name == name)


def _outcomes(verdict: PhaseVerdict) -> Sequence[Outcome]:
    return [v.outcome for v in verdict.verdicts]
