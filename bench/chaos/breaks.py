"""Each promise broken on purpose in a copy of the code: does the storm notice?

python -m bench.chaos breaks [--seed N] [--runs R] [--json FILE]
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Break:
    """One edit: `old` stands exactly once in the file below src/canary."""

    promise: str
    what: str
    file: str
    old: str
    new: str


BREAKS = (
    Break("I1", "the way back is called verified unseen", "rollout/retreat.py", "if not off and", "if"),
    Break(
        "I1",
        "a target that still shows users is not lowered again",
        "rollout/effects.py",
        '    if seen.answer != "yes":\n        await send(clock, target, identities, 0.0, epoch)\n',
        "",
    ),
    Break(
        "I1",
        "a late raise is not waited for",
        "rollout/retreat.py",
        "            return REOBSERVE\n",
        "            return 0.0\n",
    ),
    Break("I1", "a run that was asked for is waited for without end", "rollout/reviving.py", "= 25.0", "= 1e9"),
    Break(
        "I1",
        "what died behind its first line is left alone",
        "guard.py",
        "            await self._unbegun.end()\n",
        "",
    ),
    Break("I1", "the guard overlooks dead conductors", "guard.py", "+ EXPIRED_FOR <", "+ 1e9 <"),
    Break(
        "I1",
        "an older raise may land at full exposure",
        "rollout/retreat.py",
        "if other != share]",
        "if other is None]",
    ),
    Break(
        "I2",
        "no look for a stop before the next target is raised",
        "rollout/conductor.py",
        "        await self.record.refresh()\n        if self.state.stop:\n",
        "        if self.state.stop:\n",
    ),
    Break(
        "I2",
        "an abort is ignored at full exposure",
        "rollout/decide.py",
        "if state.stop:",
        "if state.stop and state.asked < 1:",
    ),
    Break(
        "I2",
        "an abort is looked for at the end of a block",
        "rollout/conductor.py",
        "NEWS_EVERY = 1.0",
        "NEWS_EVERY = 15.0",
    ),
    Break(
        "I2",
        "a cancelled run is resumed",
        "rollout/reviving.py",
        "if attempt > ATTEMPTS or await self._aborted(state):",
        "if attempt > ATTEMPTS:",
    ),
    Break(
        "I3", "UNDECIDED passes a phase", "rollout/decide.py", "state.verdict.outcome is Outcome.PASS", "state.verdict"
    ),
    Break(
        "I3",
        "old evidence passes a phase",
        "rollout/decide.py",
        "    blind = _blind(plan, state, now)",
        '    blind = ""',
    ),
    Break(
        "I4",
        "the lease is not checked",
        "rollout/lease.py",
        "if self.over or epoch > self.lock.epoch:",
        "if False:",
    ),
    Break(
        "I4",
        "lines are appended without the fence, by whoever has no right",
        "rollout/record.py",
        "self.state.seq, entries, self.lock)",
        "self.state.seq, entries)",
    ),
    Break(
        "I4",
        "a new holder raises at once",
        "rollout/lease.py",
        "return self.taken + NEW_HOLDER_WAITS",
        "return -1.0 + self.taken",
    ),
    Break(
        "I6",
        "a raise is sent without its intent",
        "rollout/conductor.py",
        "        await self.record.decide(e.ExposureIntended(share=share, targets=targets, why=why))\n",
        "",
    ),
    Break(
        "I6",
        "what the targets show is not journaled",
        "rollout/conductor.py",
        "        await self.record.tell(e.ExposureObserved(share=share, targets=shown(looked)))\n",
        "",
    ),
    Break(
        "I6",
        "a FAIL waits for the journal",
        "rollout/retreat.py",
        "JOURNAL_FIRST, journaled)\n        looked",
        "3600.0, journaled)\n        looked",
    ),
    Break("I6", "what is read of a full journal counts as its answer", "rollout/silence.py", "max((", "min(("),
    Break(
        "I6",
        "a silent journal is waited for",
        "rollout/record.py",
        "silent >= SILENT_AFTER or (silent > 0 and self.silence.left <= LAST_MOMENT)",
        "silent >= 1e9",
    ),
    Break(
        "I7",
        "metrics that cannot be read are a FAIL",
        "rollout/decide.py",
        "    if state.override:\n",
        '    if state.blind_since:\n        return RollBack("fail", "blind")\n    if state.override:\n',
    ),
    Break("I7", "a hold never ends", "rollout/decide.py", "    if now >= until:\n", "    if now >= until + 1e9:\n"),
    Break(
        "I6",
        "an intent counts as full exposure",
        "rollout/state.py",
        "everybody = self.exposed == 1 and self.asked == 1",
        "everybody = self.asked == 1",
    ),
    Break("once", "dead conductors are replaced without end", "rollout/reviving.py", "ATTEMPTS = 2", "ATTEMPTS = 99"),
    Break(
        "once",
        "a step of the closing is told twice",
        "rollout/conductor.py",
        "self.record.decide(done)",
        "self.record.decide(done, done)",
    ),
    Break(
        "once",
        "a raise is sent again when its answer is lost",
        "rollout/effects.py",
        "        if await send(clock, targets[name], identities, share, epoch):\n",
        "        if await send(clock, targets[name], identities, share, epoch) and await send(\n"
        "            clock, targets[name], identities, share, epoch\n        ):\n",
    ),
)


@dataclass(frozen=True, slots=True)
class Noticed:
    """After how many runs a promise was seen to be broken, by which seed, and which promises the oracle named."""

    promise: str
    what: str
    runs: int
    seed: int | None
    named: tuple[str, ...]


def breaks(seed: int, runs: int) -> Iterator[Noticed]:
    """Every break tried on the same seeds until one notices. Raises ValueError for an edit that no longer fits."""
    for each in BREAKS:
        yield _tried(each, seed, runs)


def _tried(each: Break, seed: int, runs: int) -> Noticed:
    with tempfile.TemporaryDirectory(prefix="chaos-break-") as scratch:
        source = Path(scratch) / "src"
        shutil.copytree(ROOT / "src", source)
        file = source / "canary" / each.file
        text = file.read_text()
        if text.count(each.old) != 1:
            raise ValueError(f"{each.what}: {each.old!r} stands {text.count(each.old)} times in {each.file}")
        file.write_text(text.replace(each.old, each.new))
        argv = [sys.executable, "-m", "bench.chaos", "sim", "--seed", str(seed), "--runs", str(runs), "--first"]
        environment = os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{ROOT}"}
        said = subprocess.run(argv, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if said.returncode not in (0, 1) or "runs (" not in said.stdout:
        raise ValueError(f"{each.what}: the storm did not run: {said.stderr[-500:]}")
    return _read(each, said.stdout)


def _read(each: Break, printed: str) -> Noticed:
    failing = re.findall(r"^seed (\d+): (.+)$", printed, re.MULTILINE)
    runs = re.search(r"^(\d+) runs \(", printed, re.MULTILINE)
    named = sorted({promise for _, found in failing for promise in found.split(", ")})
    first = int(failing[0][0]) if failing else None
    return Noticed(each.promise, each.what, int(runs[1]) if runs else 0, first, tuple(named))


def as_json(found: list[Noticed]) -> str:
    return json.dumps([{name: getattr(row, name) for name in Noticed.__slots__} for row in found], indent=1) + "\n"
