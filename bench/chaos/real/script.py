"""What is done to the rollouts of one round, drawn from the seed and from what was struck least so far.

Most rollouts lose their flow two or three times, each time at a place that still lies ahead: Prefect starts two further
conductors, and behind the third death the guard goes back by itself. A quarter of the rollouts is struck otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from bench.chaos.real.server import BAD

Victim = Literal["flow", "worker", "guard", "server", "postgres"]
Signal = Literal["KILL", "TERM", "STOP"]
Side = Literal["before", "after"]
Trouble = Literal["none", "outage", "disk"]
VICTIMS: tuple[Victim, ...] = ("flow", "flow", "guard", "guard", "postgres", "postgres", "worker", "server")
"""Without worker or server no other conductor comes for anybody in the round: they are struck more seldom."""
SIDES: tuple[Side, ...] = ("before", "after")
ENOUGH = 5
"""Kills of the flow that each boundary of an effect should have seen on each side."""
TWO_EARLY = 0.6
"""Share of rollouts that lose their flow twice on the way up, of those whose end is near then."""
ODD = 0.25
"""Share of rollouts that are struck otherwise: by another signal, or in another process."""
STANDS_STILL = (5.0, 32.0)
"""Seconds from and to which a process is stopped: a lease and what a guard waits behind it are 25."""
STAYS_AWAY = (0.0, 8.0)
"""Seconds after which a program that was ended is started again."""

EVERY = (
    "rollout_started",
    "conductor_took",
    "preflight_passed",
    "phase_started",
    "prepare_intended",
    "prepare_observed",
    "checks_looked",
    "approval_asked",
    "approval_given",
    "exposure_intended:up",
    "expose up",
    "exposure_observed:up",
    "soak_started",
    "sampled",
    "judged",
)
FORWARD = ("phase_passed", "closing_done", "rollout_ended")
BACK = ("rollback_started", "expose down", "exposure_observed:down", "rollback_verified")
RECOVERY = ("conductor_asked", *BACK, "rollout_ended")
ORDINARY = (*EVERY, *FORWARD, *BACK)
BOUNDARIES = (*ORDINARY, "conductor_asked")
"""Lines of the journal, and the changes that are sent to Envoy (`expose …`), at which a process is struck. A raise
stands apart from a lowering; lines that are appended together are one boundary, named after the first."""
TWICE = ("phase_started", "prepare_intended", "prepare_observed", "exposure_intended:up", "sampled", "phase_passed")

EARLY = ("prepare_intended", "prepare_observed", "exposure_intended:up", "expose up", "exposure_observed:up")
CLOSING = ("closing_done", "rollout_ended")
EFFECTS = (*EARLY, *BACK, *CLOSING)
"""What stands around an effect outside, in the order in which a rollout comes by."""
LONG = ("rollback_verified", "rollout_ended")
"""Behind another death these come half a minute later: as long as a raise may still land."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The signal that the process gets at the boundary. nth: the how manieth such line since the strike before.

    lasts: seconds until a stopped process goes on, or one that was ended is started again; a flow is not.
    """

    victim: Victim
    signal: Signal
    boundary: str
    side: Side
    nth: int = 1
    lasts: float = 5.0

    @property
    def place(self) -> str:
        """As the counts name it."""
        return f"{self.boundary} {self.side}"

    @property
    def of_effect(self) -> bool:
        """Whether it is what is counted for each place of an effect: kill -9 of the process that conducts."""
        return self.victim == "flow" and self.signal == "KILL" and self.boundary in EFFECTS


@dataclass(frozen=True, slots=True)
class Part:
    """One rollout of the round, of a candidate that is good or bad."""

    service: str
    version: str
    kills: tuple[Kill, ...]

    @property
    def bad(self) -> bool:
        return self.version.endswith(BAD)


@dataclass(frozen=True, slots=True)
class Round:
    """Rollouts that run at the same time. trouble: `none`, `outage` (of Prefect's API) or `disk` (full)."""

    number: int
    parts: tuple[Part, ...]
    trouble: Trouble = "none"
    lasts: float = 0.0


def draw(
    seed: int, number: int, services: Sequence[str], killed: Mapping[str, int], struck: Mapping[str, int]
) -> Round:
    """The round of that seed and number. killed: place of an effect → flows killed there so far; struck: any place →
    all other strikes."""
    rng = Random(f"{seed}:{number}")
    odd = rng.sample(services, max(1, round(len(services) * ODD + rng.uniform(-0.5, 0.5))))
    counts, others, parts = dict(killed), dict(struck), []
    for service in services:
        # Of what all share, one thing is struck in a round.
        victims = VICTIMS if service == odd[0] else VICTIMS[:1]
        kills = tuple(_odd(rng, rng.choice(victims), counts, others) if service in odd else _deaths(rng, counts))
        for kill in kills:
            tallied = counts if kill.of_effect else others
            tallied[kill.place] = tallied.get(kill.place, 0) + 1
        parts.append(Part(service, f"2.{number}.0{_health(rng, kills)}", kills))
    return Round(number, tuple(parts))


def _deaths(rng: Random, counts: Mapping[str, int]) -> Iterator[Kill]:
    """The flow's, in the order in which their places come."""
    last = list(_last(rng, counts))
    for n, (boundary, side) in enumerate(sorted(_early(rng, counts, last), key=_order)):
        # Each of two targets is prepared; behind a death it may be one of them only.
        nth = rng.choice((1, 2)) if boundary.startswith("prepare") and n == 0 else 1
        yield Kill("flow", "KILL", boundary, side, nth)
    yield from last


def _early(rng: Random, counts: Mapping[str, int], last: Sequence[Kill]) -> set[tuple[str, Side]]:
    """Where flows die on the way up: nowhere when all of that was seen. Where a machine is so slow that no other
    conductor comes in time, a first death is the last one, too."""
    first = _rarest(rng, EARLY, counts)
    if counts.get(" ".join(first), 0) >= ENOUGH:
        return set()
    if len(last) > 1 or last[-1].boundary in LONG or rng.random() > TWO_EARLY:
        return {first}
    return {first, _rarest(rng, EARLY, {**counts, " ".join(first): ENOUGH})}


def _last(rng: Random, counts: Mapping[str, int]) -> Iterator[Kill]:
    """Where the last flow dies, and the one before it where another conductor still comes."""
    boundary, side = _rarest(rng, (*BACK, *CLOSING), counts)
    nth = rng.choice((1, 2, 3)) if boundary == "closing_done" else 1
    yield Kill("flow", "KILL", boundary, side, nth)
    if boundary == "closing_done":
        yield Kill("flow", "KILL", *_rarest(rng, ("rollout_ended",), counts))
    if (boundary, side) == ("rollback_started", "before"):
        # Nothing is journaled of the FAIL: whoever comes next fails it anew.
        yield Kill("flow", "KILL", *_rarest(rng, [name for name in BACK[1:] if name not in LONG], counts))


def _odd(rng: Random, victim: Victim, counts: Mapping[str, int], others: Mapping[str, int]) -> Iterator[Kill]:
    """Another process, or another signal; then the flow, if it comes by."""
    if victim == "guard":
        # A guard has something to do only when a conductor is gone.
        yield Kill("flow", "KILL", *_rarest(rng, ("exposure_observed:up",), counts))
        yield _strike(rng, victim, *_rarest(rng, RECOVERY, others))
        return
    odd = _strike(rng, victim, *_rarest(rng, ORDINARY, others))
    yield odd
    if odd.boundary in EVERY and odd.nth == 1 and (victim, odd.signal) != ("flow", "TERM"):
        yield from _last(rng, counts)


def _strike(rng: Random, victim: Victim, boundary: str, side: Side) -> Kill:
    signals: tuple[Signal, ...] = ("TERM", "STOP") if victim == "flow" else ("KILL", "KILL", "TERM", "STOP")
    signal = rng.choice(signals)
    nth = rng.choice((1, 2)) if boundary in TWICE else 1
    lasts = rng.uniform(*(STANDS_STILL if signal == "STOP" else STAYS_AWAY))
    return Kill(victim, signal, boundary, side, nth, round(lasts, 1))


def _rarest(rng: Random, boundaries: Sequence[str], counts: Mapping[str, int]) -> tuple[str, Side]:
    """The place that was struck least; any of them where all were struck often enough."""
    places = [(boundary, side) for boundary in boundaries for side in SIDES]
    rng.shuffle(places)
    return min(places, key=lambda place: min(counts.get(f"{place[0]} {place[1]}", 0), ENOUGH))


def _order(place: tuple[str, Side]) -> tuple[int, int]:
    return EFFECTS.index(place[0]), SIDES.index(place[1])


def _health(rng: Random, kills: Sequence[Kill]) -> str:
    """Bad where only a bad candidate comes by the boundary, good where only a good one does."""
    names = {(kill.boundary, kill.nth) for kill in kills}
    if any(name in BACK for name, _ in names):
        return BAD
    late = {(name, 2) for name in TWICE if name not in ("prepare_intended", "prepare_observed", "sampled")}
    if any(name in ("phase_passed", "closing_done") for name, _ in names) or names & late:
        return ""
    return rng.choice(("", BAD))
