"""What must never be, held against what truly happened: the promises of the design, each by its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from bench.chaos.faults import Crash, Stall
from bench.chaos.platform import Platform, Sent
from bench.chaos.reactions import QUICK
from bench.chaos.script import SCALE
from bench.chaos.store import Line
from bench.chaos.violation import EPSILON, Violation, lines, raises, shares_at
from bench.chaos.world import World
from canary.errors import CanaryError
from canary.rollout.lease import NEW_HOLDER_WAITS

ATTEMPTS = 2
"""Runs that a guard may ask for in one rollout (docs/decisions/0012)."""
AT_ONCE = 0.01
"""Seconds between the last look and a raise that count as none."""
FRESH = max(4 * 15.0 / SCALE, 5.0)
"""Seconds for which evidence is fresh (I3)."""
STOPS = ("abort_asked", "rollback_asked", "approval_rejected", "rollback_started")
TRULY_BAD = 0.1
"""A share of bad requests that no judge can take for less than 1 %."""


Rule = Callable[[World], Iterator[Violation]]


def violations(world: World) -> list[Violation]:
    """Everything that is wrong with the run, in the order of the promises."""
    end: tuple[Rule, ...] = (_ends, _end_is_whole, _paged, _sticky, _truly_bad)
    asked: tuple[Rule, ...] = (_replaced,)
    raised: tuple[Rule, ...] = (_no_raise_after_stop, _fenced, _waits, _intents, _observes)
    rules = (*end, *asked, *raised, *QUICK, _evidence, _once, _sane)
    return [found for rule in rules for found in rule(world)]


# --- I1 -----------------------------------------------------------------------------------------------------


def _ends(world: World) -> Iterator[Violation]:
    if world.ended_at is None and not world.untouched:
        last = world.store.lines[-1].entry.type if world.store.lines else "nothing"
        yield Violation("ended", world.loop.time(), f"the run has not ended; the last line is {last}")


def _end_is_whole(world: World) -> Iterator[Violation]:
    """All old or all new, on every target, and still so when everything has landed."""
    end = _end(world)
    if end is None or end.entry.data["outcome"] == "refused":
        share = 0.0
    else:
        share = 1.0 if end.entry.data["outcome"] == "promoted" else 0.0
    for platform in world.platforms.values() if world.ended_at is not None else ():
        if platform.share != share and not _by_an_unseen_hand(platform):
            yield Violation(
                "I1", world.ended_at or 0.0, f"{platform.name} ended at {platform.share:.0%}, not {share:.0%}"
            )


def _end(world: World) -> Line | None:
    return next((line for line in reversed(world.store.lines) if line.entry.type == "rollout_ended"), None)


def _by_an_unseen_hand(platform: Platform) -> bool:
    """Somebody moved it, and nobody has looked since."""
    hands = [change.at for change in platform.history if change.why == "hand"]
    looked = max((seen.at for seen in platform.seen if seen.true), default=0.0)
    return bool(hands) and platform.history[-1].why == "hand" and hands[-1] >= looked - EPSILON


def _paged(world: World) -> Iterator[Violation]:
    """When exposure 0 cannot be verified somebody is woken; a process that dies over it is excused."""
    unverified = lines(world, "rollback_unverified")
    woken = any(incident.endswith(":rollback") for incident, _ in world.oncall.pages)
    excused = any(isinstance(fault, Crash | Stall) for fault in world.fuses.burnt)
    if unverified and not woken and not excused:
        yield Violation("I1", unverified[0].at, "exposure 0 was not verified, and nobody was paged")


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


def _sticky(world: World) -> Iterator[Violation]:
    """Once somebody has said stop, the end is no promotion."""
    said = lines(world, "abort_asked", "rollback_asked", "approval_rejected")
    end = _end(world)
    if said and end and end.entry.data["outcome"] == "promoted" and end.entry.seq > said[0].entry.seq:
        yield Violation("I2", end.at, f"promoted after {said[0].entry.type}")


def _replaced(world: World) -> Iterator[Violation]:
    """Another conductor is asked for twice at most, and never for a run that somebody has cancelled."""
    asked = lines(world, "conductor_asked")
    if len(asked) > ATTEMPTS:
        yield Violation("once", asked[-1].at, f"another conductor was asked for {len(asked)} times")
    if asked and world.script.prefect == "cancelled":
        yield Violation("I2", asked[0].at, "another conductor was asked for, though the run was cancelled")


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
        verdict, sampled, blind = _last_verdict(world, line)
        fresh = sampled is not None and line.entry.at - sampled <= FRESH + AT_ONCE and not blind
        if verdict != "PASS" or (phase, verdict) not in said or not fresh:
            old = "none" if sampled is None else f"{line.entry.at - sampled:.1f} s old"
            yield Violation("I3", line.at, f"{phase} passed by {verdict}, its last sample {old}, blind: {blind}")


def _last_verdict(world: World, passed: Line) -> tuple[str | None, float | None, bool]:
    """Of the soak that the line ends: the outcome last journaled, the time of the newest block, whether the metrics
    could not be read at the end."""
    verdict, sampled, blind = None, None, False
    for line in world.store.lines:
        if line.entry.seq >= passed.entry.seq:
            break
        match line.entry.type:
            case "soak_started":
                verdict, sampled, blind = None, None, False
            case "measurement_failed" | "measurement_back":
                blind = line.entry.type == "measurement_failed"
            case "judged":
                verdict = line.entry.data["verdict"]["outcome"]
            case "sampled":
                sampled = max(sampled or 0.0, line.entry.data["block"]["at"])
    return verdict, sampled, blind


def _truly_bad(world: World) -> Iterator[Violation]:
    """The real judge is not taken in by a candidate that fails many requests; only a person may be."""
    end = _end(world)
    promoted = end is not None and end.entry.data["outcome"] == "promoted"
    overridden = any(line.entry.data["overridden_by"] for line in lines(world, "phase_passed"))
    if promoted and not world.script.streams and world.script.bad >= TRULY_BAD and not overridden:
        yield Violation("I3", end.at if end else 0.0, "a bad candidate was promoted")


# --- I4, I6 -------------------------------------------------------------------------------------------------


def _fenced(world: World) -> Iterator[Violation]:
    """A process that another one has replaced sends at most the one raise that was past its check."""
    stale: Counter[str] = Counter()
    took = lines(world, "conductor_took")
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
    took = lines(world, "conductor_took")
    for sent in raises(world):
        mine = next((line for line in took if line.entry.epoch == sent.epoch), None)
        rising = sent.share > min(shares_at(world, sent.at)) + EPSILON and not _moved_by_hand(world)
        waited = sent.at - world.store.taken.get(sent.epoch, 0.0)
        if mine and mine is not took[0] and rising and waited < NEW_HOLDER_WAITS - AT_ONCE:
            yield Violation("I4", sent.at, f"epoch {sent.epoch} raised {waited:.1f} s after it took over")


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


def _observes(world: World) -> Iterator[Violation]:
    """Who has sent a raise journals a look at it before it asks for the next one."""
    told, sent = dict[int, float](), list(raises(world))
    for line in world.store.lines:
        entry = line.entry
        if entry.type in ("exposure_observed", "exposure_drifted"):
            told[entry.epoch] = line.at
        elif entry.type == "exposure_intended" and entry.data["share"] > 0:
            since = told.get(entry.epoch, 0.0)
            if any(each.epoch == entry.epoch and since < each.at < line.at for each in sent):
                yield Violation("I6", line.at, f"epoch {entry.epoch} raises again, and told of no look at the last")


# --- once ---------------------------------------------------------------------------------------------------

ONCE = {
    "closing_done": "step",
    "conductor_asked": "attempt",
    "phase_passed": "phase",
    "review_due": "offset",
    "preflight_passed": "stable_version",
}


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
