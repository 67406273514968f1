"""What is done to the four rollouts of one round, drawn from the seed and from what was struck least so far."""

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
VICTIMS: tuple[Victim, ...] = ("flow", "worker", "guard", "server", "postgres")
SIGNALS: tuple[Signal, ...] = ("KILL", "KILL", "TERM", "STOP")
"""Every other one is a kill."""
SIDES: tuple[Side, ...] = ("before", "after")
ENOUGH = 5
"""Kills that each boundary should have seen on each side."""
AGAIN = 0.2
"""Share of killed conductors whose successor is killed, too, as soon as it conducts."""

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


@dataclass(frozen=True, slots=True)
class Kill:
    """The signal that the process gets at the boundary. nth: the how manieth such line of the rollout.

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


def draw(seed: int, number: int, services: Sequence[str], struck: Mapping[str, int]) -> Round:
    """The round of that seed and number. struck: place → kills so far."""
    rng = Random(f"{seed}:{number}")
    shared = rng.choice(VICTIMS[1:])
    holder = rng.choice(services)
    counts, parts = dict(struck), []
    for service in services:
        victim: Victim = shared if service == holder and rng.random() < 0.8 else "flow"
        kills = tuple(_kills(rng, victim, counts))
        for kill in kills:
            counts[kill.place] = counts.get(kill.place, 0) + 1
        parts.append(Part(service, f"2.{number}.0{_health(rng, kills)}", kills))
    return Round(number, tuple(parts))


def _kills(rng: Random, victim: Victim, counts: Mapping[str, int]) -> Iterator[Kill]:
    if victim == "guard":
        # A guard has something to do only when a conductor is gone.
        yield Kill("flow", "KILL", rng.choice(("sampled", "exposure_observed:up")), "after")
        yield _kill(rng, victim, *_rarest(rng, RECOVERY, counts))
        return
    kill = _kill(rng, victim, *_rarest(rng, ORDINARY, counts))
    yield kill
    if victim == "flow" and kill.signal == "KILL" and rng.random() < AGAIN:
        yield Kill("flow", "KILL", "conductor_took", "after", 2)


def _rarest(rng: Random, boundaries: Sequence[str], counts: Mapping[str, int]) -> tuple[str, Side]:
    """The place that was struck least; any of them where all were struck often enough."""
    places = [(boundary, side) for boundary in boundaries for side in SIDES]
    rng.shuffle(places)
    return min(places, key=lambda place: min(counts.get(f"{place[0]} {place[1]}", 0), ENOUGH))


def _kill(rng: Random, victim: Victim, boundary: str, side: Side) -> Kill:
    signal = rng.choice(SIGNALS)
    nth = rng.choice((1, 2)) if boundary in TWICE else 1
    lasts = rng.uniform(5.0, 60.0) if signal == "STOP" else rng.uniform(0.0, 20.0)
    return Kill(victim, signal, boundary, side, nth, round(lasts, 1))


def _health(rng: Random, kills: Sequence[Kill]) -> str:
    """Bad where only a bad candidate comes by the boundary, good where only a good one does."""
    names = {(kill.boundary, kill.nth) for kill in kills}
    if any(name in BACK for name, _ in names):
        return BAD
    late = {(name, 2) for name in TWICE if name not in ("prepare_intended", "prepare_observed", "sampled")}
    if any(name in FORWARD for name, _ in names) or names & late:
        return ""
    return rng.choice(("", BAD))
