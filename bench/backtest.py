"""What a backtest costs: a year of one service, from its export to the verdict, in a process of its own.

    python -m bench.backtest [--json OUT] [--days N]

The year is simulated: 10 pods scraped every 15 s, each with two counters (2.1 million scrapes × 20 series), 0.2 % bad,
seeded; requests follow the day, 1 % of the scrapes are missing, and each pod restarts once a week. Aim for the A/A:
one minute and 2 GiB.

read:    CSV (21 million rows) → increments on the grid of blocks.
same:    A/A of every rule, each pod in turn against all others in every window of 30 min.
margin:  the smallest margin, beyond that.
harm:    12 kinds of harm a rule on 2,000 windows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from canary.cli.exports import gathered
from canary.judge.backtest.harm import detections, sample
from canary.judge.backtest.margin import smallest
from canary.judge.backtest.paths import Span
from canary.judge.backtest.same import NEVER, Judged, fails
from canary.judge.backtest.windows import Windows
from canary.judge.terms import Terms
from canary.plan.rules import criterion, trigger

PODS, SEED, START, DAY = 10, 20_261_123, 1_735_689_600, 5_760
RPS, BAD = 100.0, 0.002
JUDGED = Judged(
    "canary",
    (trigger({"errors": "worse than baseline"}), criterion({"errors": "< 1%"})),
    Terms(horizon=120),
    Span(0, 120),
)


@dataclass(frozen=True)
class Row:
    """Seconds of processor time, MiB at the most by then. load: the machine's, over a minute, afterwards."""

    days: int
    scrapes: int
    series: int
    rows: int
    comparisons: int
    false: int
    read: float
    same: float
    margin: float
    harm: float
    wall: float
    read_mib: float
    same_mib: float
    peak_mib: float
    load: float


def write(file: Path, days: int) -> None:
    """The export, pod by pod."""
    draw, blocks = np.random.default_rng(SEED), days * DAY + 1
    at = START + 15 * np.arange(blocks)
    day = 1 + 0.5 * np.sin(2 * np.pi * np.arange(blocks) / DAY)
    for pod in range(PODS):
        n = draw.poisson(RPS * 15 / PODS * day)
        counters = {"total": n, "bad": draw.binomial(n, BAD)}
        restarts = np.arange(pod * 577, blocks, 7 * DAY)
        cumulative = {name: _restarted(values, restarts) for name, values in counters.items()}
        frame = pd.DataFrame({"at": at, "pod": f"shop-{pod}", "measure": "errors", **cumulative})
        frame[draw.random(blocks) >= 0.01].to_csv(file, mode="a", header=pod == 0, index=False)


def _restarted(values: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    sums = np.cumsum(values)
    lost = np.zeros(len(values), dtype=sums.dtype)
    for place in restarts:
        lost[place:] = sums[place - 1] if place else 0
    return sums - lost


def measured(file: Path, days: int) -> Row:
    """Everything once."""
    began, marks, peaks = time.monotonic(), [time.process_time()], []

    def mark() -> None:
        marks.append(time.process_time())
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    history = gathered([file]).history()
    mark()
    windows = Windows.of_length(history, JUDGED.span.blocks)
    found = fails(JUDGED, history, windows)
    mark()
    smallest(JUDGED, history, windows, found)
    mark()
    drawn = sample(windows, np.random.default_rng(SEED))
    for rule in JUDGED.statistical:
        detections(rule, JUDGED, history, drawn, SEED)
    mark()
    read, same, margin, harm = np.diff(marks).round(1).tolist()
    return Row(
        days, history.blocks, 2 * len(history.pods), history.noted.samples, len(windows.pods),
        int((found.together != NEVER).sum()), read, same, margin, harm, round(time.monotonic() - began, 1),
        round(peaks[0]), round(peaks[1]), round(peaks[-1]), round(os.getloadavg()[0], 1),
    )  # fmt: skip


def main() -> None:
    """Make the export, then measure in a process that has made nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.export:
        print(json.dumps(asdict(measured(asked.export, asked.days))))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "year.csv"
        write(file, asked.days)
        argv = [sys.executable, "-m", "bench.backtest", "--days", str(asked.days), "--export", str(file)]
        told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    print(json.dumps(told, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
