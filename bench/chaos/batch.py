"""Many runs over several processes, summed up; and the file that says so."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from bench.chaos.play import Played, of, play, shrunk
from bench.chaos.script import BOUNDARIES, SIDES, draw
from bench.chaos.violation import Violation

ROOT = Path(__file__).resolve().parents[2]
JUDGED_CODE = ("src/canary/rollout/*.py", "src/canary/journal/*.py", "src/canary/guard.py")
STORM = ("bench/chaos/*.py",)
"""With the same storm a seed is the same run."""
AT_A_TIME = 10
"""Runs that a process is given at a time."""


@dataclass
class Tally:
    """What a number of runs came to. failing: seed → what was violated."""

    runs: int = 0
    milliseconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    real_judge: int = 0
    failing: dict[int, tuple[Violation, ...]] = field(default_factory=dict)

    def add(self, played: Played) -> None:
        self.runs += 1
        self.milliseconds += played.milliseconds
        self.outcomes[played.outcome] += 1
        self.faults.update(name_of(fault) for fault in played.struck)
        self.crashes.update(played.crashes)
        self.pairs += len(played.crashes) > 1
        self.real_judge += not played.script.streams
        if played.violations:
            self.failing[played.script.seed] = played.violations

    def merge(self, other: Tally) -> None:
        self.runs += other.runs
        self.milliseconds += other.milliseconds
        self.outcomes += other.outcomes
        self.faults += other.faults
        self.crashes += other.crashes
        self.pairs += other.pairs
        self.real_judge += other.real_judge
        self.failing |= other.failing


def name_of(fault: object) -> str:
    """Its kind, as a result file counts it: `answer late`, `crash`."""
    kind = getattr(fault, "kind", None) or getattr(fault, "what", None)
    name = type(fault).__name__.lower()
    verb = f" {fault.verb}" if hasattr(fault, "verb") else ""
    return f"{name}{verb} {kind}" if kind else name


def sim(seed: int, runs: int, processes: int, within: float | None = None, first: bool = False) -> Tally:
    """The runs of seeds `seed`, `seed` + 1, …; fewer when `within` seconds are over, or at the first that fails."""
    began, tally = time.monotonic(), Tally()
    spans = list(_spans(seed, runs))
    with get_context("fork").Pool(processes) as pool:
        for start in range(0, len(spans), 4 * processes):
            for part in pool.map(_part, spans[start : start + 4 * processes], chunksize=1):
                tally.merge(part)
            late = within is not None and time.monotonic() - began > within
            if late or (first and tally.failing):
                break
    return tally


def _spans(seed: int, runs: int) -> Iterator[range]:
    for first in range(seed, seed + runs, AT_A_TIME):
        yield range(first, min(first + AT_A_TIME, seed + runs))


def _part(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        tally.add(of(seed))
    return tally


def explained(seed: int) -> Sequence[str]:
    """The shortest run that breaks the same promise: its faults, and what happened."""
    script = shrunk(draw(seed))
    played = play(script, trace=True)
    faults = [f"  {fault}" for fault in script.faults]
    broken = [f"  {each.promise} at {each.at:.3f} s: {each.what}" for each in played.violations]
    return [f"seed {seed}, with these faults of its script alone:", *faults, *played.trace, "violated:", *broken]


def code_hash(patterns: Sequence[str] = JUDGED_CODE) -> str:
    """sha256, hex, over names and contents: by default of the code whose promises are tested, rollout/, journal/ and
    guard.py."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in patterns for file in ROOT.glob(pattern)):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def result(seed: int, tally: Tally) -> dict[str, object]:
    """The content of a result file."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": f"python -m bench.chaos sim --seed {seed} --runs {tally.runs}",
        "seeds": [seed, seed + tally.runs - 1],
        "runs": tally.runs,
        "code": code_hash(),
        "storm": code_hash(STORM),
        "violations": {str(s): [asdict(v) for v in found] for s, found in sorted(tally.failing.items())},
        "outcomes": dict(sorted(tally.outcomes.items())),
        "milliseconds_a_run": round(tally.milliseconds / max(1, tally.runs), 2),
        "crash_pairs": tally.pairs,
        "real_judge": tally.real_judge,
        "crashes": {name: {side: tally.crashes[f"{name} {side}"] for side in SIDES} for name in BOUNDARIES},
        "faults": dict(sorted(tally.faults.items())),
    }


def write(folder: Path, seed: int, tally: Tally) -> Path:
    """<date>-<seed>.json in the folder."""
    found = result(seed, tally)
    file = folder / f"{found['date']}-{seed}.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n")
    return file
