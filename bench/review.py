"""What a review costs: from the lines of a journal to the page, in a process of its own.

    python -m bench.review [--json OUT]

Each case is a rollout of so many hours with a block every 15 s of so many series (a measure of one arm; four of ten
measures are histograms of 12 buckets). The lines are made beforehand, as text, in a file. Aim for 24 h × 50 series:
2 s and 500 MiB.

read:   lines → entries (JSON), all in memory as a journal gives them, and the state of all that is no block.
report: frames, sums, KPIs, alerts by hour, curves, tables.
page:   plots and HTML, and the import of matplotlib. All other imports are in `whole` alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from canary.plan.load import load_plan
from canary.plan.model import KeyMetric, Plan, Signal
from canary.ports import Entry

START, BLOCK = 1_800_000_000.0, 15.0
BESIDE = 120
EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
CASES = ((24, 50), (48, 50), (48, 100), (48, 500))
AIMS = {(24, 50): (2.0, 500.0)}


@dataclass(frozen=True)
class Row:
    """One case. Seconds of processor time but for `wall`; MiB at the most."""

    hours: int
    series: int
    lines_mib: float
    read: float
    report: float
    page: float
    whole: float
    wall: float
    peak_mib: float


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


def lines(plan: Plan, hours: int) -> Iterator[str]:
    """A journal's lines as JSON: (seq, at, type, data)."""
    canary = next(phase for phase in plan.phases if phase.criteria)
    judged = frozenset(plan.judged(canary))
    one = {name: _counted(signal, 1000.0) for name, signal in plan.measures(canary).items()}
    increments, watched = ({n: c for n, c in one.items() if (n in judged) is mine} for mine in (True, False))
    release = {"api": {"candidate": "2.1.0", "stable": "2.0.9"}}
    yield _line(1, START, "preflight_passed", {"release": release, "stable_version": "2.0.9", "sealed": []})
    yield _line(2, START, "soak_started", {"phase": canary.name, "due": START + BESIDE * BLOCK})
    # Everything is counted by both arms all the time: the worst case for the size.
    arms = {"increments": _arms(increments), "watched": _arms(watched), "scrapes": 1, "share": 0.1, "routed": None}
    block = json.dumps(arms).removeprefix("{")
    for number in range(1, int(hours * 3600 / BLOCK) + BESIDE + 1):
        at = START + number * BLOCK
        yield f'[{2 * number + 1}, {at}, "sampled", {{"block": {{"at": {at}, {block}}}]'
        if number == BESIDE:
            shown = {"api": {"answer": "yes", "observed": 1.0, "detail": ""}}
            yield _line(2 * number + 2, at, "exposure_observed", {"share": 1.0, "targets": shown})


def _counted(signal: Signal, total: float) -> dict[str, Any]:
    if signal.gauge:
        return {"total": 0.0, "bad": 0.0, "buckets": [], "last": 3.1e8}
    edges = EDGES if signal.histogram else ()
    return {"total": total, "bad": 0.0, "buckets": [[e, total * (k + 1) / len(edges)] for k, e in enumerate(edges)]}


def _arms(found: Mapping[str, Any]) -> dict[str, Any]:
    return {measure: {"canary": counted, "baseline": counted} for measure, counted in found.items()}


def _line(seq: int, at: float, kind: str, data: Mapping[str, Any]) -> str:
    return json.dumps([seq, at, kind, data])


def measured(hours: int, series: int) -> Row:
    """In a process of its own, so that the peak is its own."""
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as folder:
        journal = Path(folder) / "journal.jsonl"
        with journal.open("w") as stream:
            stream.writelines(f"{line}\n" for line in lines(plan_of(series), hours))
        size = journal.stat().st_size / 2**20
        began = time.perf_counter()
        argv = [sys.executable, "-m", "bench.review", "--case", str(series), str(journal)]
        said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        wall = time.perf_counter() - began
    return Row(hours, series, size, **json.loads(said), wall=wall)


def case(series: int, journal: Path) -> dict[str, float]:
    """The review itself; prints nothing but its costs."""
    from canary.review.report import report

    plan, costs = plan_of(series), {}
    began = time.process_time()
    entries, state = _read(journal)
    costs["read"], began = time.process_time() - began, time.process_time()
    from canary.review.page import html

    began = time.process_time()
    found = report(plan, state, entries, {}, entries[-1].at)
    costs["report"], began = time.process_time() - began, time.process_time()
    if len(html(found)) < 10_000 or not found.curves or "blocks" not in found.measured:
        raise AssertionError(f"no whole report: {found.measured}")
    costs["page"] = time.process_time() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**costs, "whole": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


def _read(journal: Path) -> tuple[list[Entry], Any]:
    from canary.review.report import standing

    with journal.open() as stream:
        said = (json.loads(line) for line in stream)
        entries = [Entry("bench", seq, at, 1, kind, data) for seq, at, kind, data in said]
    return entries, standing("bench", entries)


HEAD = "hours  series  lines MiB  read s  report s  page s  whole s  wall s  peak MiB  aim"


def shown(row: Row) -> str:
    """A line of the table, under `HEAD`."""
    aim = "{:g} s, {:g} MiB".format(*AIMS[row.hours, row.series]) if (row.hours, row.series) in AIMS else ""
    return (
        f"{row.hours:5}  {row.series:6}  {row.lines_mib:9.0f}  {row.read:6.2f}  {row.report:8.2f}  "
        f"{row.page:6.2f}  {row.whole:7.2f}  {row.wall:6.2f}  {row.peak_mib:8.0f}  {aim}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.review", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    parser.add_argument("--most", type=int, default=3, help="so many of the cases; the fourth needs about 10 GiB")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(case(int(asked.case[0]), Path(asked.case[1]))))
        return
    print(HEAD)
    rows = []
    for hours, series in CASES[: asked.most]:
        rows.append(measured(hours, series))
        print(shown(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
