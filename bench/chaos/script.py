"""The script of one run, drawn from its seed: the plan, the truth about the candidate, the people, and the faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from bench.chaos.faults import (
    Answer,
    Blind,
    ByHand,
    ClockJump,
    Crash,
    Fault,
    Says,
    Side,
    Stall,
    StoreAnswer,
    StoreOutage,
    Trouble,
    When,
)

SCALE = 5.0
"""Plan seconds per real second: a block is 3 s."""
LATEST = 20.0
"""Seconds after which a late change lands at the latest: a platform that holds one back for longer is not simulated."""
PAST_THE_CHECK = 28.0
"""Seconds for which a process stands still at most exactly between its last look and its raise: nobody can take that
request back, and a successor watches for it for 30 s (design I4)."""
TIMEOUT = 5.9
TYPES = (
    "rollout_started",
    "conductor_took",
    "conductor_asked",
    "preflight_passed",
    "phase_started",
    "prepare_intended",
    "prepare_observed",
    "check_observed",
    "checks_looked",
    "approval_asked",
    "exposure_intended:up",
    "exposure_observed:up",
    "exposure_intended:down",
    "exposure_observed:down",
    "exposure_drifted",
    "soak_started",
    "sampled",
    "judged",
    "measurement_failed",
    "measurement_back",
    "phase_extended",
    "hold_started",
    "phase_passed",
    "closing_done",
    "review_due",
    "rollback_started",
    "rollback_verified",
    "rollback_unverified",
    "rollout_ended",
    "paged",
    "thread_started",
)
EFFECTS = (
    "take",
    "renew",
    "yield_lease",
    "release",
    "seal",
    "drop",
    "prepare",
    "expose up",
    "expose down",
    "put",
    "start run",
)
BOUNDARIES = (*(f"append {type_}" for type_ in TYPES), *EFFECTS)
"""Everything between a process and the outside at which it can die, before or after."""
SIDES: tuple[Side, ...] = ("before", "after")
ANCHORS = (
    "preflight_passed",
    "conductor_took",
    "approval_asked",
    "exposure_intended:up",
    "exposure_observed:up",
    "soak_started",
    "sampled",
    "phase_passed",
    "closing_done",
    "rollback_started",
    "exposure_observed:down",
    "rollout_ended",
)


Prefect = Literal["never", "away", "silent", "lost", "cancelled"]


@dataclass(frozen=True, slots=True)
class Script:
    """One run. streams: see evidence.Bench; bad: the candidate's true share of bad requests.

    resume: seconds after a conductor's death until a person starts it anew; None: never. guards: how many watch.
    prefect: what becomes of a run that a guard asks for: seconds until it conducts, or "never", "away" (Prefect refuses
    every question), "silent" (it answers none), "lost" (the run comes after 3 s, the answer never), "cancelled".
    answers_after: seconds until a person approves.
    """

    seed: int
    targets: tuple[str, ...]
    steps: tuple[float, ...]
    blocks: int
    on_undecided: Mapping[str, Any]
    streams: Mapping[str, tuple[str, ...]]
    bad: float
    resume: float | None
    prefect: float | Prefect
    guards: int
    answers_after: float
    faults: tuple[Fault, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The plan."""
        steps = [_step(n, share, self) for n, share in enumerate(self.steps, 1)]
        staging = {
            "name": "staging",
            "for": "1m",
            "exposure": "0%",
            "checks": [{"name": "home", "get": "/"}],
        }
        full = {"name": "full", "exposure": "100%", "then": ["audit", "baseline", "announce"]}
        return {**_FRAME, "targets": {name: {"use": f"envoy/{name}"} for name in self.targets}} | {
            "phases": [staging, *steps, full]
        }


_FRAME: dict[str, Any] = {
    "name": "storm",
    "service": "shop",
    "mixed_versions": "ok",
    "metrics": "scraper/shop",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {"errors": {"counter": "http_requests_total", "bad": {"status": "5.."}}},
    "traffic": "errors",
    "notify": {"updates": ["terminal/all"], "page": ["terminal/oncall"]},
    "announce": {"to": ["terminal/all"], "says": "It is there", "feedback": "https://example.com/feedback"},
    "roles": {"owner": {"name": "Olga Owner"}},
    "rollback": {"within": "1m"},
    "review": {"after": ["24h", "48h"]},
    "time_scale": SCALE,
}


def _step(number: int, share: float, script: Script) -> dict[str, Any]:
    return {
        "name": f"canary{number}",
        "for": f"{script.blocks * 15}s",
        "exposure": f"{share:.0%}",
        "criteria": [{"errors": "< 1%"}],
        "approval": {"by": ["owner"], "within": "5m"},
        "on_undecided": dict(script.on_undecided),
    }


def draw(seed: int) -> Script:
    """The script of that seed, always the same."""
    rng = Random(seed)
    targets = ("api", "web", "docs")[: rng.choice((1, 2, 2, 2, 3))]
    steps = rng.choice(((0.1,), (0.1,), (0.05, 0.5)))
    bad = rng.random() < 0.4
    blocks = rng.randint(6, 10)
    held: dict[str, Any] = {"extend": "30s", "then": "hold", "for": "2m"}
    real = rng.random() < 0.01
    names = [f"canary{n}" for n in range(1, len(steps) + 1)]
    return Script(
        seed=seed,
        targets=targets,
        steps=steps,
        blocks=blocks,
        on_undecided=rng.choice(({"for": "2m"}, held, held)),
        streams={} if real else {name: _stream(rng, bad, blocks) for name in names},
        bad=0.2 if bad else 0.0,
        resume=rng.choice((None, None, None, 0.0, 5.0, 21.0, 23.0, 24.9, 30.0)),
        prefect=rng.choice((0.0, 3.0, 3.0, 10.0, 24.0, 25.0, 40.0, "never", "away", "silent", "lost", "cancelled")),
        guards=rng.choice((1, 2)),
        answers_after=rng.choice((0.0, 0.5, 4.0)),
        faults=tuple(_faults(rng, targets)),
    )


def _stream(rng: Random, bad: bool, blocks: int) -> tuple[str, ...]:
    if not bad:
        unsure = rng.choice(("UNDECIDED", "NO_DATA"))
        return rng.choice(((unsure,) * rng.randint(1, blocks - 2) + ("PASS",), ("PASS",), ("UNDECIDED",), ("PASS",)))
    first = rng.choice(("UNDECIDED", "PASS", "NO_DATA"))
    late = (first,) * rng.randint(0, blocks + 2) + ("FAIL",)
    return rng.choice((late, late, late, ("NO_DATA",), ("UNDECIDED",), ("PASS", "FAIL", "PASS")))


def _faults(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        yield from rng.choice(FAMILIES)(rng, targets)


Family = Callable[[Random, tuple[str, ...]], Iterator[Fault]]


def _crashes(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    for _ in range(rng.choice((1, 2))):
        boundary = rng.choice(BOUNDARIES)
        yield Crash(boundary, rng.choice((1, 1, 1, 2, 3)), rng.choice(SIDES))


def _provoked(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    """A crash at a line that is only journaled in trouble, and the trouble."""
    boundary = rng.choice(tuple(TROUBLES))
    trouble = TROUBLES[boundary]
    yield trouble if isinstance(trouble, Blind) else replace(trouble, target=rng.choice(targets))
    yield Crash(boundary, rng.choice((1, 1, 2)), rng.choice(SIDES))
    if rng.random() < 0.3:
        yield Crash(rng.choice(BOUNDARIES), 1, rng.choice(SIDES))


def _replaced(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    """A conductor dies in mid-flight; then the guard, or the conductor that it asked for."""
    mid = ("append sampled", "append judged", "append exposure_observed:up", "append soak_started", "renew")
    first = rng.choice(mid)
    yield Crash(first, rng.choice((1, 2, 3)), rng.choice(SIDES))
    then = rng.choice(("append conductor_asked", "start run", "append conductor_took", "append sampled", "take"))
    yield Crash(then, 1, rng.choice(SIDES))
    if rng.random() < 0.3:
        yield Crash(rng.choice(BOUNDARIES), 1, rng.choice(SIDES))


def _stalls(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    boundary = rng.choice(("expose up", "expose up", "append exposure_intended:up", rng.choice(BOUNDARIES)))
    side = rng.choice(SIDES)
    longest = PAST_THE_CHECK if (boundary, side) == ("expose up", "before") else 70.0
    yield Stall(boundary, rng.choice((1, 1, 2, 3)), side, rng.uniform(5.0, longest))


def _lossy(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    """Nearly every third answer goes astray."""
    changes: tuple[Any, ...] = ("lost", "unanswered", "late", "late", "twice", "ignored", "refused")
    for target in targets:
        for nth in range(1, 25):
            if nth <= 8 and rng.random() < 0.3:
                yield _change(rng, target, nth, rng.choice(changes))
            if rng.random() < 0.3:
                yield Answer(target, "read", nth + 1, rng.choice(("lost", "refused", "slow")), rng.uniform(0.1, 5.0))


def _astray(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    """One or two of the first changes."""
    for _ in range(rng.choice((1, 2))):
        kind: Any = rng.choice(("lost", "unanswered", "late", "late", "late", "twice", "ignored", "refused"))
        yield _change(rng, rng.choice(targets), rng.randint(1, 4), kind)


def _change(rng: Random, target: str, nth: int, kind: Any) -> Answer:
    """What is sent twice lands twice within the provider's time-out; what nobody has an answer to may take longer."""
    longest = TIMEOUT if kind == "twice" or rng.random() < 0.5 else LATEST
    return Answer(target, "change", nth, kind, rng.uniform(0.1, longest))


def _troubles(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    kind: Literal["unreachable", "refuses", "lies"] = rng.choice(("unreachable", "refuses", "lies"))
    longest = LATEST if kind == "lies" else 90.0
    yield Trouble(_when(rng), rng.choice(targets), kind, rng.uniform(1.0, longest))


def _hands(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    yield ByHand(_when(rng), rng.choice(targets), rng.choice((0.0, 0.02, 0.6, 1.0)))


def _blinds(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    yield Blind(_when(rng), rng.choice(("fails", "hangs", "silent", "starves")), rng.uniform(1.0, 60.0))


def _clocks(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    yield ClockJump(_when(rng), rng.choice(("conductor", "guard")), rng.choice((-1, 1)) * rng.uniform(0.5, 60.0))


def _outages(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    seconds = rng.choice((rng.uniform(0.5, 12.0), rng.uniform(9.0, 60.0)))
    yield StoreOutage(_when(rng), seconds, rng.random() < 0.5, rng.random() < 0.4)


def _writes(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    few = rng.random() < 0.5
    for nth in range(1, 60):
        if rng.random() < (0.04 if few else 0.3):
            yield StoreAnswer(nth, rng.choice(("lost", "unanswered", "late", "slow")), rng.uniform(0.1, 6.0))


def _people(rng: Random, targets: tuple[str, ...]) -> Iterator[Fault]:
    what: Any = rng.choice(("abort", "abort", "rollback", "hold", "resume", "promote", "extend", "reject", "ack"))
    yield Says(_when(rng, before=rng.random() < 0.4), what)
    if what == "hold":
        yield Says(_when(rng), rng.choice(("promote", "resume", "abort")))


def _when(rng: Random, before: bool = False) -> When:
    delay = 0.0 if before else rng.choice((0.0, rng.uniform(0.0, 2.0), rng.uniform(0.0, 30.0)))
    return When(rng.choice(ANCHORS), rng.choice((1, 1, 2)), delay, before)


_AWAY = Trouble(When("rollback_started"), "", "unreachable", 90.0)
TROUBLES: Mapping[str, Blind | Trouble | ByHand] = {
    "append exposure_drifted": ByHand(When("sampled", delay=1.0), "", 0.6),
    "append measurement_failed": Blind(When("sampled"), "silent", 20.0),
    "append measurement_back": Blind(When("sampled"), "fails", 5.0),
    "append rollback_unverified": _AWAY,
    "append paged": _AWAY,
    "yield_lease": _AWAY,
}
FAMILIES: tuple[Family, ...] = (
    _crashes,
    _crashes,
    _provoked,
    _replaced,
    _stalls,
    _lossy,
    _astray,
    _astray,
    _troubles,
    _hands,
    _blinds,
    _clocks,
    _outages,
    _writes,
    _people,
    _people,
)
