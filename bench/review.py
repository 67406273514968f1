"""What a review costs: from a journal's file to the page, in a process of its own.

    python -m bench.review [--json OUT]

Each case is a rollout of so many hours with a block every 15 s of so many series (a measure of one arm; four of ten
measures are histograms of 12 buckets), journaled beforehand in an SQLite file by the journal itself. Aim for 24 h × 50
series: 2 s and 500 MiB.

read:    the journal's lines → where the rollout stands, and the columns of its blocks.
report:  frames, sums, KPIs, alerts by hour, curves, tables.
page:    plots and HTML.
all:     these three.
imports: Python itself and all modules, matplotlib among them; not Prefect, which the command and the flow load besides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from typing import Any

from canary.plan.load import load_plan
from canary.plan.model import KeyMetric, Plan, Signal
from canary.ports import NewEntry

START, BLOCK = 1_800_000_000.0, 15.0
BESIDE, ROLLOUT = 120, "bench"
EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
CASES = ((24, 50), (48, 50), (48, 100), (48, 500))
AIMS = {(24, 50): (2.0, 500.0)}


@dataclass(frozen=True)
class Row:
    """One case. Seconds of processor time but for `wall`, which is the whole process's; MiB at the most.

    lines, lines_mib: of the journal. load: the machine's load average afterwards, over a minute.
    """

    hours: int
    series: int
    lines: int
    lines_mib: float
    read: float
    report: float
    page: float
    all: float
    imports: float
    wall: float
    peak_mib: float
    load: float


def plan_of(series: int) -> Plan:
    """The packaged plan, with as many further signals as make up that many series of two arms."""
    with as_file(files("canary.plans") / "phase1.yaml") as path:
        plan = load_plan(path).plan
    more = series // 2 - len(plan.measures(plan.phases[1]))
    named = {f"more_{n}": _signal(n) for n in range(max(0, more))}
    shown = tuple(
        KeyMetric(name=name, signal=name, shows="p95" if s.histogram else "per_hour") for name, s in named.items()
    )
    return plan.model_copy(
        update={"signals": {**plan.signals, **named}, "key_metrics": {**plan.key_metrics, "more": shown}}
    )


def _signal(number: int) -> Signal:
    return Signal(histogram=f"more_{number}_seconds") if number % 10 < 4 else Signal(counter=f"more_{number}_total")


def lines(plan: Plan, hours: int) -> Iterator[NewEntry]:
    """A journal's lines."""
    canary = next(phase for phase in plan.phases if phase.criteria)
    judged = frozenset(plan.judged(canary))
    one = {name: _counted(signal, 1000.0) for name, signal in plan.measures(canary).items()}
    increments, watched = ({n: c for n, c in one.items() if (n in judged) is mine} for mine in (True, False))
    release = {"api": {"candidate": "2.1.0", "stable": "2.0.9"}}
    yield NewEntry(START, "preflight_passed", {"release": release, "stable_version": "2.0.9", "sealed": []})
    yield NewEntry(START, "soak_started", {"phase": canary.name, "due": START + BESIDE * BLOCK})
    # Everything is counted by both arms all the time: the worst case for the size.
    block = {"increments": _arms(increments), "watched": _arms(watched), "scrapes": 1, "share": 0.1, "routed": None}
    for number in range(1, int(hours * 3600 / BLOCK) + BESIDE + 1):
        at = START + number * BLOCK
        yield NewEntry(at, "sampled", {"block": {"at": at, **block}})
        if number == BESIDE:
            shown = {"api": {"answer": "yes", "observed": 1.0, "detail": ""}}
            yield NewEntry(at, "exposure_observed", {"share": 1.0, "targets": shown})


def _counted(signal: Signal, total: float) -> dict[str, Any]:
    if signal.gauge:
        return {"total": 0.0, "bad": 0.0, "buckets": [], "last": 3.1e8}
    edges = EDGES if signal.histogram else ()
    return {"total": total, "bad": 0.0, "buckets": [[e, total * (k + 1) / len(edges)] for k, e in enumerate(edges)]}


def _arms(found: Mapping[str, Any]) -> dict[str, Any]:
    return {measure: {"canary": counted, "baseline": counted} for measure, counted in found.items()}


async def journaled(file: Path, entries: Iterable[NewEntry]) -> int:
    """Appends them to a journal in this file; how many there are."""
    from canary.journal.store import SqlJournal

    # What is being made here is not what is measured: it may take its time.
    journal, count, rest = SqlJournal(f"sqlite:///{file}", answer_within=60.0), 0, iter(entries)
    while some := list(islice(rest, 20)):
        await journal.append(ROLLOUT, count, some)
        count += len(some)
    await journal.close()
    return count


def measured(hours: int, series: int) -> Row:
    """In a process of its own, so that the peak is its own."""
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as folder:
        journal = Path(folder) / "journal.db"
        count = asyncio.run(journaled(journal, lines(plan_of(series), hours)))
        with closing(sqlite3.connect(journal)) as opened:
            (size,) = opened.execute("SELECT sum(length(data)) FROM canary_events").fetchone()
        began = time.perf_counter()
        argv = [sys.executable, "-m", "bench.review", "--case", str(series), str(journal)]
        said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        wall = time.perf_counter() - began
    costs = {**json.loads(said), "wall": wall, "lines_mib": size / 2**20, "load": os.getloadavg()[0]}
    return Row(hours, series, count, **{name: round(value, 2) for name, value in costs.items()})


def case(series: int, file: Path) -> dict[str, float]:
    """The review itself; prints nothing but its costs."""
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401

    from canary.journal.store import SqlJournal
    from canary.review.page import html
    from canary.review.reading import Reading, read
    from canary.review.report import report

    async def opened() -> Reading:
        journal = SqlJournal(f"sqlite:///{file}")
        told = await read(journal, ROLLOUT)
        await journal.close()
        return told

    imports, plan = time.process_time(), plan_of(series)
    began = time.process_time()
    told = asyncio.run(opened())
    costs, now = {"read": time.process_time() - began}, time.process_time()
    found = report(plan, told.state, told.columns.frames(), {}, told.columns.newest)
    costs["report"], now = time.process_time() - now, time.process_time()
    if len(html(found)) < 10_000 or not found.curves or "blocks" not in found.measured:
        raise AssertionError(f"no whole report: {found.measured}")
    costs["page"] = time.process_time() - now
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**costs, "all": time.process_time() - began, "imports": imports, "peak_mib": peak}


HEAD = "hours  series  lines MiB  read s  report s  page s  all s  imports s  wall s  peak MiB  load  aim (all, peak)"


def shown(row: Row) -> str:
    """A line of the table, under `HEAD`."""
    aim = "{:g} s, {:g} MiB".format(*AIMS[row.hours, row.series]) if (row.hours, row.series) in AIMS else ""
    return (
        f"{row.hours:5}  {row.series:6}  {row.lines_mib:9.0f}  {row.read:6.2f}  {row.report:8.2f}  {row.page:6.2f}  "
        f"{row.all:5.2f}  {row.imports:9.2f}  {row.wall:6.2f}  {row.peak_mib:8.0f}  {row.load:4.1f}  {aim}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.review", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(case(int(asked.case[0]), Path(asked.case[1]))))
        return
    print(HEAD)
    rows = []
    for hours, series in CASES:
        rows.append(measured(hours, series))
        print(shown(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
