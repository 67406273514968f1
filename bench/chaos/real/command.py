"""`python -m bench.chaos real`: rounds until the time is over, each appended to the file of its seed."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.chaos.batch import ROOT
from bench.chaos.real.facts import Facts
from bench.chaos.real.oracle import told
from bench.chaos.real.play import Play
from bench.chaos.real.result import Results
from bench.chaos.real.script import Part, Round, draw
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
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=_short()) as folder:
        os.chmod(folder, 0o711)
        home = Path(folder) / "home"
        return asyncio.run(_ended_by_signals(_real(home, options, results)))


def _short() -> str:
    """Postgres's socket has a path of 107 bytes at most."""
    return "/tmp"


async def _ended_by_signals(work: object) -> int:
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return int(await task)
    except asyncio.CancelledError:
        print("ended before its time; the rounds that were finished are kept")
        return 130


async def _real(home: Path, options: argparse.Namespace, results: Results) -> int:
    until, broken = time.monotonic() + options.minutes * 60, 0
    with _disk(home, options.full_disk) as journal_url:
        async with running(home, SERVICES, journal_url) as stage:
            play = Play(stage)
            await play.set_up()
            try:
                while True:
                    round_ = _round(options, results)
                    began = time.monotonic()
                    found = await play.play(round_)
                    results.add(round_, time.monotonic() - began, [told(each) for each in found])
                    broken += sum(_shown(each) for each in found)
                    if time.monotonic() > until or round_.trouble != "none":
                        return bool(broken)
            finally:
                await play.close()


def _round(options: argparse.Namespace, results: Results) -> Round:
    number = results.next_number
    if not (options.outage or options.full_disk):
        return draw(options.seed, number, SERVICES, results.struck())
    parts = tuple(Part(s, f"2.{number}.0{BAD if n % 2 else ''}", ()) for n, s in enumerate(SERVICES))
    if options.outage:
        return Round(number, parts, "outage", options.outage)
    return Round(number, parts, "disk", DISK_FULL_FOR)


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


def _shown(facts: Facts) -> int:
    """One line a rollout, and the whole of one that broke a promise; how many were broken."""
    line = told(facts)
    kills = ", ".join(
        f"{k['signal']} {k['victim']} {k['side']} {k['boundary']} at {k['at']} (recovered {k['recovered']})"
        for k in line["kills"]
    )
    zero = f", FAIL → 0 in {line['fail_to_zero']} s" if line["fail_to_zero"] is not None else ""
    print(
        f"{facts.rollout} {facts.version}: {facts.outcome} after {line['seconds']} s{zero}; {kills or 'not struck'}",
        flush=True,
    )
    for broken in line["violations"]:
        print(f"  BROKEN {broken['promise']} at {broken['at']}: {broken['what']}")
    if line["violations"]:
        print(*trace(facts), sep="\n", flush=True)
    return len(line["violations"])


def trace(facts: Facts) -> Sequence[str]:
    """Journal, changes at Envoy and kills, by time."""
    told_ = [(line.at, f"{line.seq:3} e{line.epoch} {line.type} {str(line.data)[:110]}") for line in facts.lines]
    sent = [(weight.at, f"    = {weight.layer} is at {weight.share:.0%}") for weight in facts.weights]
    struck = [(s.at, f"    † {s.kill.signal} {s.kill.victim} (pid {s.pid})") for s in facts.struck]
    back = [(s.back_at, f"    ↑ {s.kill.victim} is back") for s in facts.struck if s.back_at]
    return [f"  {at - facts.began_at:8.3f} {text}" for at, text in sorted([*told_, *sent, *struck, *back])]
