"""Rules about how soon: what is seen is acted upon in time by a process that can."""

from __future__ import annotations

from collections.abc import Iterator

from bench.chaos.faults import Says, StoreOutage
from bench.chaos.violation import EPSILON, Violation, hindered, lines, lowered_between, shares_at
from bench.chaos.world import World
from canary.rollout.lease import LEASE
from canary.rollout.retreat import JOURNAL_FIRST

WITHIN = 2.0
"""Seconds from seeing a raise that landed late, or from an abort, to sending exposure 0 (I2)."""


def late_raises(world: World) -> Iterator[Violation]:
    """On the way back whoever sees users on the candidate lowers within 2 s."""
    for platform in world.platforms.values():
        for seen in platform.seen:
            if seen.share > 0 and _on_the_way_back(world, seen.life.name, seen.at):
                until = seen.at + WITHIN + EPSILON
                lowered = any(s.share == 0 and seen.at <= s.at <= until for s in platform.sent)
                if not lowered and not hindered(world, seen.life.name, seen.at, until):
                    yield Violation("I2", seen.at, f"{platform.name} was seen at {seen.share:.0%} and not lowered")


def _on_the_way_back(world: World, life: str, at: float) -> bool:
    """Whether that process has sent exposure 0 before."""
    return any(s.life.name == life and s.share == 0 and s.at < at for p in world.platforms.values() for s in p.sent)


def failed(world: World) -> Iterator[Violation]:
    """Who holds a FAIL lowers at once, whatever the journal does."""
    for each in world.bench.said:
        until = each.at + JOURNAL_FIRST + 0.01
        able = str(each.outcome) == "FAIL" and not hindered(world, each.life.name, each.at, until)
        if able and not lowered_between(world, each.at, until, each.life.name):
            yield Violation("I6", each.at, f"{each.life.name} held a FAIL and did not lower at once")


def aborted(world: World) -> Iterator[Violation]:
    """Where nothing else goes wrong, an abort takes the users off within 2 s."""
    if any(not isinstance(fault, Says) for fault in world.script.faults):
        return
    for line in lines(world, "abort_asked"):
        if max(shares_at(world, line.at)) > 0 and not lowered_between(world, line.at, line.at + WITHIN):
            yield Violation("I2", line.at, "an abort was not carried out within 2 s")


def silent(world: World) -> Iterator[Violation]:
    """Where nothing else goes wrong, a journal that stays silent takes the users off before the lease runs out."""
    outages = [fault for fault in world.burnt if isinstance(fault, StoreOutage)]
    if len(world.script.faults) != 1 or not outages:
        return
    since = world.store.silent_until - outages[0].seconds
    until = since + LEASE
    full = any(
        line.entry.data["phase"] == "full" and line.at <= since + EPSILON for line in lines(world, "phase_passed")
    )
    back = [line.at for line in lines(world, "rollback_started") if line.at <= since + EPSILON]
    users = max(shares_at(world, since + EPSILON)) > 0 and not full and not back
    if users and outages[0].seconds >= LEASE and not lowered_between(world, since, until):
        yield Violation("I6", since, "the journal was silent, and nobody was lowered before the lease ran out")


QUICK = (late_raises, failed, aborted, silent)
