"""`python -m bench.chaos real`: rounds until the time is over, each appended to the file of its seed."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.chaos.batch import ROOT
from bench.chaos.real.facts import Facts
from bench.chaos.real.oracle import told
from bench.chaos.real.play import PATIENCE, Play
from bench.chaos.real.result import Results
from bench.chaos.real.script import Part, Round, Trouble, draw
from bench.chaos.real.server import BAD
from bench.chaos.real.stage import running

SERVICES = ("s1", "s2", "s3", "s4")
OUT = ROOT / "bench" / "results" / "chaos" / "real"
DISK = "8m"
"""Room for the journal in a round that fills it."""
DISK_FULL_FOR = 30.0


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, required=True, help="with the file of that seed it goes on")
    parser.add_argument("--minutes", type=float, default=10.0, help="begin no further round after so long")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="where real-<seed>.json is kept")
    parser.add_argument(
        "--outage", type=float, metavar="SECONDS", nargs="?", const=600.0, help="one round with Prefect's API away"
    )
    parser.add_argument("--full-disk", action="store_true", help="one round with no room under a journal of SQLite")


def real(options: argparse.Namespace) -> int:
    """Exit status 1 when a promise was broken in a round of now."""
    results = Results(options.out, options.seed)
    troubled = options.outage or options.full_disk
    return asyncio.run(_ended_by_signals(_troubled(options, results) if troubled else _rounds(options, results)))


async def _ended_by_signals(work: Coroutine[Any, Any, int]) -> int:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        print("ended before its time; the rounds that were finished are kept")
        return 130


@asynccontextmanager
async def playing(services: Sequence[str], small_disk: bool = False) -> AsyncIterator[Play]:
    """Everything up, in a folder that is gone afterwards."""
    # Not where TMPDIR says: the path of Postgres's socket has 107 bytes at most.
    with TemporaryDirectory(prefix="chaos-", dir="/tmp") as folder:
        # Postgres, another user, has to get through.
        os.chmod(folder, 0o711)
        home = Path(folder) / "home"
        with _disk(home, small_disk) as journal_url:
            async with running(home, services, journal_url) as stage, Play.on(stage) as play:
                yield play


async def one_round(round_: Round) -> list[dict[str, Any]]:
    """A round by itself: what the oracle tells of each rollout."""
    async with playing([part.service for part in round_.parts], round_.trouble == "disk") as play:
        return [_shown(each) for each in await play.play(round_)]


async def _troubled(options: argparse.Namespace, results: Results) -> int:

    parts = tuple(Part(s, f"2.{results.next_number}.0{BAD if n % 2 else ''}", ()) for n, s in enumerate(SERVICES))
    kind: Trouble = "outage" if options.outage else "disk"
    round_ = Round(results.next_number, parts, kind, options.outage or DISK_FULL_FOR)
    began = time.monotonic()
    found = await one_round(round_)
    results.add(round_, time.monotonic() - began, found)
    return any(each["violations"] for each in found)


async def _rounds(options: argparse.Namespace, results: Results) -> int:
    until, broken = time.monotonic() + options.minutes * 60, False
    try:
        async with playing(SERVICES) as play:
            while True:
                broken |= await _round(play, options.seed, results)
                if time.monotonic() > until:
                    break
    finally:
        print(*results.table(), sep="\n", flush=True)
    return broken


async def _round(play: Play, seed: int, results: Results) -> bool:
    """Whether a promise was broken in it."""
    began = time.monotonic()
    round_ = draw(seed, results.next_number, SERVICES, results.killed(), results.struck())
    found = [_shown(each) for each in await play.play(round_)]
    seconds = time.monotonic() - began
    results.add(round_, seconds, found)
    print(f"round {round_.number}: {seconds:.0f} s", flush=True)
    return any(each["violations"] for each in found)


@contextmanager
def _disk(home: Path, small: bool) -> Iterator[str]:
    """A small file system for the journal where one is asked for; the journal's URL then."""
    if not small:
        yield ""
        return
    data = home / "data"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", str(data)], check=True)
    try:
        yield f"sqlite:///{data / 'journal.db'}"
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def _shown(facts: Facts) -> dict[str, Any]:
    """What is told of it, having printed one line, and the whole of one that broke a promise."""
    line = told(facts)
    struck = ", ".join(map(_kill, line["kills"])) or "not struck"
    zero = f", FAIL → 0 in {line['fail_to_zero']} s" if line["fail_to_zero"] is not None else ""
    print(f"{facts.rollout} {facts.version}: {facts.outcome} after {line['seconds']} s{zero}; {struck}", flush=True)
    if facts.outcome == "refused":
        print(f"  refused: {facts.lines[-1].data['reason']}")
    if facts.overran:
        print(f"  OVERRAN: given up after {PATIENCE:.0f} s; its last line is {_last(facts)}")
    for broken in line["violations"]:
        print(f"  BROKEN {broken['promise']} at {broken['at']}: {broken['what']}")
    if line["violations"]:
        print(*trace(facts), sep="\n", flush=True)
    return line


def _last(facts: Facts) -> str:
    return facts.lines[-1].type if facts.lines else "none"


def _kill(kill: dict[str, Any]) -> str:
    where = f"{kill['side']} {kill['boundary']} at {kill['at']}"
    return f"{kill['signal']} {kill['victim']} {where} (recovered {kill['recovered']})"


def trace(facts: Facts) -> Sequence[str]:
    """Journal, changes at Envoy and kills, by time."""
    told_ = [(line.at, f"{line.seq:3} e{line.epoch} {line.type} {str(line.data)[:110]}") for line in facts.lines]
    sent = [(weight.at, f"    = {weight.layer} is at {weight.share:.0%}") for weight in facts.weights]
    struck = [(s.at, f"    † {s.kill.signal} {s.kill.victim} (pid {s.pid})") for s in facts.struck]
    back = [(s.back_at, f"    ↑ {s.kill.victim} is back") for s in facts.struck if s.back_at]
    return [f"  {at - facts.began_at:8.3f} {text}" for at, text in sorted([*told_, *sent, *struck, *back])]
