"""What must never be, held against what truly happened: the promises of the design, each by its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bench.chaos.platform import Platform, Sent
from bench.chaos.script import SCALE
from bench.chaos.store import Line
from bench.chaos.world import World
from canary.errors import CanaryError
from canary.rollout.lease import NEW_HOLDER_WAITS

EPSILON = 1e-6
AT_ONCE = 0.01
"""Seconds between the last look and a raise that count as none."""
LOWERS_WITHIN = 2.0
"""Seconds from seeing a raise that landed late to sending exposure 0 (I2)."""
FRESH = max(4 * 15.0 / SCALE, 5.0)
"""Seconds for which evidence is fresh (I3)."""
STOPS = ("abort_asked", "rollback_asked", "rollback_started")


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which, when (seconds), and what was seen."""

    promise: str
    at: float
    what: str


def violations(world: World) -> list[Violation]:
    """Everything that is wrong with the run, in the order of the promises."""
    rules = (_ends, _end_is_whole, _late_raises, _no_raise_after_stop, _evidence, _fenced, _waits, _intents, _once, _sane)
    return [found for rule in rules for found in rule(world)]


# --- I1 -----------------------------------------------------------------------------------------------------


def _ends(world: World) -> Iterator[Violation]:
    if world.ended_at is None and not untouched(world):
        last = world.store.lines[-1].entry.type if world.store.lines else "nothing"
        yield Violation("ended", world.loop.time(), f"the run has not ended; the last line is {last}")


def untouched(world: World) -> bool:
    """Nobody ever conducted it: its first line stands alone, no lock was taken, and nothing was sent."""
    return all(line.entry.type not in ("conductor_took", "preflight_passed") for line in world.store.lines)


def _end_is_whole(world: World) -> Iterator[Violation]:
    """All old or all new, on every target, and still so when everything has landed."""
    end = _end(world)
    if end is None or end.entry.data["outcome"] == "refused":
        share = 0.0
    else:
        share = 1.0 if end.entry.data["outcome"] == "promoted" else 0.0
    for platform in world.platforms.values() if world.ended_at is not None else ():
        if platform.share != share and not _by_an_unseen_hand(platform):
            yield Violation("I1", world.ended_at or 0.0, f"{platform.name} ended at {platform.share:.0%}, not {share:.0%}")


def _end(world: World) -> Line | None:
    return next((line for line in reversed(world.store.lines) if line.entry.type == "rollout_ended"), None)


def _by_an_unseen_hand(platform: Platform) -> bool:
    """Somebody moved it, and nobody has looked since."""
    hands = [change.at for change in platform.history if change.why == "hand"]
    looked = max((seen.at for seen in platform.seen if seen.true), default=0.0)
    return bool(hands) and platform.history[-1].why == "hand" and hands[-1] >= looked - EPSILON


# --- I2 -----------------------------------------------------------------------------------------------------


def _no_raise_after_stop(world: World) -> Iterator[Violation]:
    """Whoever raises has looked right before, and saw no stop, no FAIL and no other conductor."""
    stops = [line for line in world.store.lines if _stops(line)]
    for sent in raises(world):
        known = [line for line in stops if line.entry.seq <= sent.looked.seq and not _reopened(world, line, sent)]
        if known:
            yield Violation("I2", sent.at, f"{sent.target} was raised to {sent.share:.0%} after {known[0].entry.type}")
        waited = sent.at - sent.looked.answered - (sent.frozen - sent.looked.frozen)
        if waited > AT_ONCE:
            yield Violation("I2", sent.at, f"{sent.target} was raised {waited:.1f} s after the last look for a stop")


def _stops(line: Line) -> bool:
    failed = line.entry.type == "judged" and line.entry.data["verdict"]["outcome"] == "FAIL"
    return failed or line.entry.type in STOPS


def _reopened(world: World, stop: Line, sent: Sent) -> bool:
    """A FAIL of an earlier soak is over when a person asked to start anew."""
    if stop.entry.type != "judged":
        return False
    return any(
        line.entry.type == "resume_asked" and stop.entry.seq < line.entry.seq <= sent.looked.seq
        for line in world.store.lines
    )


def raises(world: World) -> Iterator[Sent]:
    """Every change above 0 that a process sent, in order of time."""
    every = [sent for platform in world.platforms.values() for sent in platform.sent if sent.share > 0]
    yield from sorted(every, key=lambda sent: sent.at)


def _late_raises(world: World) -> Iterator[Violation]:
    """On the way back whoever sees users on the candidate lowers within 2 s."""
    for platform in world.platforms.values():
        for seen in platform.seen:
            if seen.share > 0 and _on_the_way_back(world, seen.life.name, seen.at):
                until = seen.at + LOWERS_WITHIN + EPSILON
                lowered = any(s.share == 0 and seen.at <= s.at <= until for s in platform.sent)
                if not lowered and not _cannot(world, seen.life.name, seen.at, until):
                    yield Violation("I2", seen.at, f"{platform.name} was seen at {seen.share:.0%} and not lowered")


def _on_the_way_back(world: World, life: str, at: float) -> bool:
    """Whether that process has sent exposure 0 before."""
    return any(s.life.name == life and s.share == 0 and s.at < at for p in world.platforms.values() for s in p.sent)


def _cannot(world: World, life: str, since: float, until: float) -> bool:
    """Whether the process died, stood still or left meanwhile."""
    gone = [exit.at for exit in world.exits if exit.life.name == life]
    mine = next(each for each in world.lives if each.name == life)
    return mine.died_at <= until or mine.frozen_until >= since or any(at <= until for at in gone)


# --- I3 -----------------------------------------------------------------------------------------------------


def _evidence(world: World) -> Iterator[Violation]:
    """A phase that is judged passes by its last verdict, a fresh PASS that a judge has given, or by a person."""
    said = {(each.phase, str(each.outcome)) for each in world.bench.said}
    for line in world.store.lines:
        if line.entry.type != "phase_passed" or not line.entry.data["phase"].startswith("canary"):
            continue
        if line.entry.data["overridden_by"]:
            if not any(other.entry.type == "promote_asked" and other.at <= line.at for other in world.store.lines):
                yield Violation("I3", line.at, f"{line.entry.data['phase']} was overridden by nobody")
            continue
        phase = str(line.entry.data["phase"])
        verdict, sampled = _last_verdict(world, line)
        fresh = sampled is not None and line.entry.at - sampled <= FRESH + AT_ONCE
        if verdict != "PASS" or (phase, verdict) not in said or not fresh:
            yield Violation("I3", line.at, f"{phase} passed by {verdict}, its last sample at {sampled}")


def _last_verdict(world: World, passed: Line) -> tuple[str | None, float | None]:
    """Of the soak that the line ends: the outcome last journaled, and the time of the newest block."""
    verdict, sampled = None, None
    for line in world.store.lines:
        if line.entry.seq >= passed.entry.seq:
            break
        match line.entry.type:
            case "soak_started":
                verdict, sampled = None, None
            case "judged":
                verdict = line.entry.data["verdict"]["outcome"]
            case "sampled":
                sampled = max(sampled or 0.0, line.entry.data["block"]["at"])
    return verdict, sampled


# --- I4, I6 -------------------------------------------------------------------------------------------------


def _fenced(world: World) -> Iterator[Violation]:
    """A process that another one has replaced sends at most the one raise that was past its check."""
    stale: Counter[str] = Counter()
    took = [line for line in world.store.lines if line.entry.type == "conductor_took"]
    for sent in raises(world):
        newer = [line for line in took if line.at < sent.at and line.entry.epoch > sent.epoch]
        if any(line.entry.seq <= sent.looked.seq for line in newer):
            yield Violation("I4", sent.at, f"{sent.life.name} raised {sent.target} though it had seen its successor")
        elif newer:
            stale[sent.life.name] += 1
            if stale[sent.life.name] == 2:
                yield Violation("I4", sent.at, f"{sent.life.name} sent a second raise after it was replaced")


def _waits(world: World) -> Iterator[Violation]:
    """Who took over raises when the last request of the one before has landed."""
    took = [line for line in world.store.lines if line.entry.type == "conductor_took"]
    for sent in raises(world):
        mine = next((line for line in took if line.entry.epoch == sent.epoch), None)
        rising = sent.share > min(_shares_at(world, sent.at)) + EPSILON and not _moved_by_hand(world)
        if mine and mine is not took[0] and rising and sent.at < mine.at + NEW_HOLDER_WAITS - AT_ONCE:
            yield Violation("I4", sent.at, f"epoch {sent.epoch} raised {sent.at - mine.at:.1f} s after it took over")


def _shares_at(world: World, at: float) -> list[float]:
    return [[c.share for c in p.history if c.at < at or c is p.history[0]][-1] for p in world.platforms.values()]


def _moved_by_hand(world: World) -> bool:
    return any(change.why == "hand" for platform in world.platforms.values() for change in platform.history)


def _intents(world: World) -> Iterator[Violation]:
    """Each raise follows an intent of its epoch, and no target gets two for one."""
    sent_so_far: Counter[tuple[str, float, int]] = Counter()
    for sent in raises(world):
        intents = sum(_intends(line, sent) for line in world.store.lines)
        sent_so_far[sent.target, sent.share, sent.epoch] += 1
        if not intents:
            yield Violation("I6", sent.at, f"{sent.target} was raised to {sent.share:.0%} without a journaled intent")
        elif sent_so_far[sent.target, sent.share, sent.epoch] > intents:
            yield Violation("once", sent.at, f"{sent.target} was raised twice for one intent")


def _intends(line: Line, sent: Sent) -> bool:
    entry = line.entry
    mine = entry.type == "exposure_intended" and entry.epoch == sent.epoch and entry.data["share"] == sent.share
    return mine and entry.seq <= sent.looked.seq and line.at <= sent.at


# --- once ---------------------------------------------------------------------------------------------------

ONCE = {"closing_done": "step", "phase_passed": "phase", "review_due": "offset", "preflight_passed": "stable_version"}


def _once(world: World) -> Iterator[Violation]:
    """No step of the closing, no phase and no review is told twice; the candidate is placed once."""
    counted: Counter[str] = Counter()
    for line in world.store.lines:
        if (by := ONCE.get(line.entry.type)) is not None:
            name = f"{line.entry.type} {line.entry.data[by]}"
            counted[name] += 1
            if counted[name] == 2:
                yield Violation("once", line.at, f"{name} stands twice")
    for platform in world.platforms.values():
        if platform.placed > 1:
            yield Violation("once", 0.0, f"{platform.name}: the candidate was deployed {platform.placed} times")


# --- I7, and the program itself -----------------------------------------------------------------------------


def _sane(world: World) -> Iterator[Violation]:
    """Nothing fails the candidate that no judge has failed, and no process ends by an error nobody wrote."""
    failed = [each for each in world.bench.said if str(each.outcome) == "FAIL"]
    for line in world.store.lines:
        if line.entry.type == "rollback_started" and line.entry.data["cause"] == "fail" and not failed:
            yield Violation("I7", line.at, "rolled back by a FAIL that no judge has given")
    for exit in world.exits:
        if exit.error is not None and not isinstance(exit.error, CanaryError):
            yield Violation("error", exit.at, f"{exit.life.name} ended by {exit.error!r}")
