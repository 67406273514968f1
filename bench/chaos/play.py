"""One run from its script to its verdict, the same each time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.chaos.faults import Crash, Fault
from bench.chaos.loop import VirtualLoop
from bench.chaos.memo import memory
from bench.chaos.oracle import violations
from bench.chaos.script import Script, draw
from bench.chaos.violation import Violation
from bench.chaos.world import World


@dataclass(frozen=True, slots=True)
class Played:
    """outcome: of the last line that ends the rollout, or "none". struck: the faults that had their moment."""

    script: Script
    outcome: str
    violations: tuple[Violation, ...]
    struck: tuple[Fault, ...]
    trace: tuple[str, ...]
    milliseconds: float

    @property
    def crashes(self) -> list[str]:
        """`boundary before` or `boundary after`, of each crash."""
        return [f"{fault.boundary} {fault.side}" for fault in self.struck if isinstance(fault, Crash)]


def play(script: Script, trace: bool = False) -> Played:
    """The run. Its files are gone afterwards."""
    began = time.process_time()
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=_memory()))
    loop = VirtualLoop()  # type: ignore[abstract]
    try:
        asyncio.set_event_loop(loop)
        world = World(script, folder, loop)
        with memory(script.seed):
            loop.run_until_complete(world.live())
        return Played(
            script,
            _outcome(world),
            tuple(violations(world)),
            tuple(_struck(world)),
            tuple(_trace(world)) if trace else (),
            (time.process_time() - began) * 1000,
        )
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> str | None:
    """Where files cost no disk, if there is such a place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _outcome(world: World) -> str:
    ends = [line.entry.data["outcome"] for line in world.store.lines if line.entry.type == "rollout_ended"]
    if world.ended_at is None:
        return "never begun" if world.untouched else "not ended"
    return str(ends[-1])


def _struck(world: World) -> Sequence[Fault]:
    hits = [hit for platform in world.platforms.values() for hit in platform.hit]
    return [*world.fuses.burnt, *world.burnt, *world.store.hit, *hits]


def _trace(world: World) -> list[str]:
    """Journal lines, what was sent and what truly changed, by time."""
    told = [
        (
            line.at,
            1,
            f"{line.life.name:13} {line.entry.seq:3} e{line.entry.epoch} {line.entry.type} {_short(line.entry.data)}",
        )
        for line in world.store.lines
    ]
    sent = [
        (sent.at, 0, f"{sent.life.name:13} → {sent.target} {sent.share:.0%} (epoch {sent.epoch})")
        for platform in world.platforms.values()
        for sent in platform.sent
    ]
    true = [
        (change.at, 2, f"{'':13} = {platform.name} is at {change.share:.0%} by {change.why}")
        for platform in world.platforms.values()
        for change in platform.history
    ]
    gone = [
        (life.died_at, 3, f"{life.name:13} † dies") for life in world.lives if life.died_at < (world.ended_at or 1e9)
    ]
    left = [(e.at, 3, f"{e.life.name:13} leaves {e.error!r:.200}") for e in world.exits if e.life.role != "person"]
    return [f"{at:9.3f} {text}" for at, _, text in sorted([*told, *sent, *true, *gone, *left])]


def _short(data: object) -> str:
    return str(data)[:150]


def shrunk(script: Script) -> Script:
    """The same run with as few faults as still break the same promise."""
    broken = {violation.promise for violation in play(script).violations}
    smaller = True
    while smaller:
        smaller = False
        for fault in script.faults:
            less = replace(script, faults=tuple(other for other in script.faults if other is not fault))
            if broken & {violation.promise for violation in play(less).violations}:
                script, smaller = less, True
                break
    return script


def of(seed: int) -> Played:
    """The run of that seed."""
    return play(draw(seed))
