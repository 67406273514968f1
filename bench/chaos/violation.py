"""A broken promise, and what all rules ask a run for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.chaos.platform import Sent
from bench.chaos.store import Line
from bench.chaos.world import World

EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """Which promise, when (seconds), and what was seen."""

    promise: str
    at: float
    what: str


def raises(world: World) -> Iterator[Sent]:
    """Every change above 0 that a process sent, in order of time."""
    every = [sent for platform in world.platforms.values() for sent in platform.sent if sent.share > 0]
    yield from sorted(every, key=lambda sent: sent.at)


def lines(world: World, *types: str) -> list[Line]:
    """Those of these types, in order."""
    return [line for line in world.store.lines if line.entry.type in types]


def hindered(world: World, life: str, since: float, until: float) -> bool:
    """Whether the process died, stood still or left meanwhile."""
    gone = [exit.at for exit in world.exits if exit.life.name == life]
    mine = next(each for each in world.lives if each.name == life)
    return mine.died_at <= until or mine.frozen_until >= since or any(at <= until for at in gone)


def shares_at(world: World, at: float) -> list[float]:
    """The true share of every target right before that time."""
    return [[c.share for c in p.history if c.at < at or c is p.history[0]][-1] for p in world.platforms.values()]


def lowered_between(world: World, since: float, until: float, life: str = "") -> bool:
    """Whether exposure 0 was sent to every target (by that process) from `since` to `until`."""
    return all(
        any(
            sent.share == 0 and since - EPSILON <= sent.at <= until + EPSILON and life in ("", sent.life.name)
            for sent in platform.sent
        )
        for platform in world.platforms.values()
    )
