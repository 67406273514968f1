"""What the metrics show, and judges whose verdicts are written beforehand: one outcome for each block."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from bench.chaos.life import Life
from bench.chaos.loop import START
from bench.chaos.platform import Platform
from canary.errors import MeasurementFailed
from canary.judge.block import Tally
from canary.judge.evidence import Evidence
from canary.judge.literal import Judge
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.model import Arms, Phase, Plan, Rule, Signal
from canary.ports import Arm, Increment, Scrape
from canary.rollout.judging import judge_of

RATE = 400.0
"""Requests a second, over both arms, in plan time."""


@dataclass
class Meters:
    """bad: the share of the candidate's requests that truly fail."""

    platform: Platform
    every: float
    scale: float
    bad: float
    kind: str = ""
    blind_until: float = 0.0
    blind_since: float = 0.0

    def scrapes(self, signals: Sequence[str], since: float, until: float) -> list[Scrape]:
        now = asyncio.get_running_loop().time()
        first, last = int((since - START) // self.every) + 1, int(min(until - START, now) // self.every)
        times = [n * self.every for n in range(first, last + 1)]
        if self.kind == "silent":
            times = [at for at in times if not self.blind_since <= at < self.blind_until]
        return [Scrape(START + at, {name: self._arms(at) for name in signals}) for at in times]

    def _arms(self, at: float) -> dict[Arm, Increment]:
        total, share = RATE * self.every * self.scale, self.platform.share
        starved = self.kind == "starves" and self.blind_since <= at < self.blind_until
        canary = 0.0 if starved else total * share
        return {"canary": Increment(canary, canary * self.bad), "baseline": Increment(total * (1 - share))}


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """`ports.Metrics` of one process."""

    life: Life
    meters: Meters

    async def check_connection(self) -> None:
        """Always there at preflight."""

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        if self.life.stopped:
            await self.life.thaw()
        if asyncio.get_running_loop().time() < self.meters.blind_until:
            if self.meters.kind == "fails":
                raise MeasurementFailed("the metrics do not answer")
            if self.meters.kind == "hangs":
                await asyncio.sleep(3600.0)
        return self.meters.scrapes(list(signals), since, until)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's word, and when it truly was given."""

    at: float
    life: Life
    phase: str
    outcome: Outcome


@dataclass
class Bench:
    """Makes the judges of all processes and keeps what they say. streams: phase → outcome of each block; the last one
    stays. Without a stream the real judge judges."""

    streams: Mapping[str, Sequence[str]]
    said: list[Judgement] = field(default_factory=list)

    def judge_of(self, life: Life) -> JudgeOfLife:
        return JudgeOfLife(self, life)


@dataclass(frozen=True, slots=True)
class JudgeOfLife:
    bench: Bench
    life: Life

    def __call__(self, plan: Plan, phase: Phase) -> Judge:
        stream = self.bench.streams.get(phase.name)
        judge = _Scripted(tuple(map(Outcome, stream))) if stream else judge_of(plan, phase)
        return _Kept(self, phase.name, judge)


@dataclass(frozen=True, slots=True)
class _Kept:
    whose: JudgeOfLife
    phase: str
    judge_: Judge

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        verdict = self.judge_.judge(criteria, triggers, evidence, traffic=traffic)
        now = asyncio.get_running_loop().time()
        self.whose.bench.said.append(Judgement(now, self.whose.life, self.phase, verdict.outcome))
        return verdict


@dataclass(frozen=True, slots=True)
class _Scripted:
    stream: tuple[Outcome, ...]

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        return _verdict(self.stream[min(evidence.blocks, len(self.stream)) - 1])


@cache
def _verdict(outcome: Outcome) -> PhaseVerdict:
    counted = None if outcome is Outcome.NO_DATA else Tally(1000.0)
    numbers = {"value": None, "limit": None, "unit": "share", "canary": counted, "baseline": None}
    return PhaseVerdict.of([Verdict("< 1%", "errors", outcome, reason=f"as written: {outcome}", **numbers)])  # type: ignore[arg-type]
