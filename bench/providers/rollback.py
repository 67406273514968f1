"""How long the way back takes on all platforms at once, against the slowest one alone. In virtual time."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.providers.town import REFS, Town, town
from bench.providers.virtual import LoopClock, run
from canary.rollout.effects import keep_down, lower_all, raise_all
from canary.rollout.retreat import LOOK_EVERY

LATENCY = (0.08, 0.3)
"""Seconds of a request, there and back."""
EPOCH = 7
SOAKED = 60.0
"""Seconds at the share before the way back begins: leases of the raise have run out, and are taken anew."""
ALL = tuple(REFS)
RATIO, WITHIN = 1.1, 300.0
"""The aims: of the slowest alone, and in seconds."""


@dataclass(frozen=True)
class Back:
    """Rollbacks from one share. Seconds from sending exposure 0 to all until everything is verified.

    alone: each target by itself, the same dice; ratio: all at once, against the slowest alone; each run's own.
    requests, refused: of a run with all, and of these answered 429; the median.
    """

    start_to_health: float
    share: float
    runs: int
    together: float
    together_most: float
    alone: dict[str, float]
    ratio: float
    ratio_most: float
    requests: int
    refused: int

    @property
    def kept(self) -> bool:
        return self.ratio_most <= RATIO and self.together_most <= WITHIN


async def _always() -> None:
    """Nothing forbids a raise here."""


async def _raised(clock: LoopClock, there: Town, share: float) -> None:
    """As the conductor does, again and again until every target shows it."""
    while True:
        seen = await raise_all(clock, there.targets, there.release, share, EPOCH, _always)
        if all(looked.answer == "yes" for looked in seen.values()):
            return
        await clock.sleep(LOOK_EVERY)


async def _back(seed: int, start_to_health: float, share: float, names: Sequence[str]) -> tuple[float, int, int]:
    """Seconds, requests and those answered 429 of the way back, as `rollout.retreat` goes it, without a journal."""
    clock = LoopClock()
    there = await town(seed, start_to_health, LATENCY)
    for step in dict.fromkeys((0.1, share)):
        await _raised(clock, there, step)
    await clock.sleep(SOAKED)
    for name, client in there.clients.items():
        client.statuses.clear()
        client.road.random.seed(f"{seed} back {name}")
    release = {name: there.release[name] for name in names}
    began = clock.monotonic()
    async with asyncio.timeout(3600.0):
        seen = await lower_all(clock, there.targets, release, EPOCH)
        while any(looked.answer != "yes" for looked in seen.values()):
            await clock.sleep(LOOK_EVERY)
            seen = await keep_down(clock, there.targets, release, EPOCH)
    took = clock.monotonic() - began
    if "api" in names and not there.at_stable():
        raise AssertionError("verified, and not every machine runs stable")
    answers = [client.statuses for client in there.clients.values()]
    return took, sum(each.total() for each in answers), sum(each[429] for each in answers)


def backs(start_to_health: float, share: float, runs: int) -> Back:
    together, requests, refused, alone = [], [], [], {name: list[float]() for name in ALL}
    for seed in range(runs):
        took, asked, again = run(_back(seed, start_to_health, share, ALL))
        together.append(took)
        requests.append(asked)
        refused.append(again)
        for name in ALL:
            alone[name].append(run(_back(seed, start_to_health, share, [name]))[0])
    ratios = [took / max(each[n] for each in alone.values()) for n, took in enumerate(together)]
    return Back(
        start_to_health,
        share,
        runs,
        statistics.median(together),
        max(together),
        {name: statistics.median(each) for name, each in alone.items()},
        statistics.median(ratios),
        max(ratios),
        round(statistics.median(requests)),
        round(statistics.median(refused)),
    )


def measured(runs: int) -> list[Back]:
    return [backs(seconds, share, runs) for seconds in (5.0, 10.0) for share in (0.1, 1.0)]


def shown(found: Sequence[Back]) -> list[str]:
    told = [
        "start to health, from     all at once (most)   alone: api   web  flags   ratio (most)   requests (429)   "
        "within the aims"
    ]
    for each in found:
        alone = "  ".join(f"{each.alone[name]:5.1f}" for name in ALL)
        told.append(
            f"{each.start_to_health:4.0f} s, {each.share:4.0%}          {each.together:6.1f} s "
            f"({each.together_most:5.1f})        {alone}    {each.ratio:5.3f} ({each.ratio_most:5.3f})   "
            f"{each.requests:8,} ({each.refused:3})   {each.kept}"
        )
    return told


def as_data(found: Sequence[Back]) -> list[dict[str, Any]]:
    return [{**vars(each), "kept": each.kept} for each in found]
