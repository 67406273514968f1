"""Whether the harm that `canary plan power` prints is found as often as it says: the judge itself, in fresh runs.

    python -m bench.power [--runs N] [--json OUT]

Each cell is a canary of 30 minutes with one rule. What is printed is found with 90 %; the gate is a true power
between 0.75 and 0.92. wall: seconds that the printed answer took, of which the aim is 5.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from canary.judge.power.cell import Cell, Setting, cell_of
from canary.judge.power.facts import Known
from canary.judge.power.search import harmed, search
from canary.judge.terms import Terms
from canary.plan.model import RateBelow, WorseThanBaseline
from canary.plan.rules import criterion, trigger

BLOCKS = 120
LEAST, MOST = 0.75, 0.92
SEED = 7_654_321


@dataclass(frozen=True)
class Row:
    """One cell. factor: times as bad as the baseline. told, true: power as printed, and in fresh runs."""

    rule: str
    rps: float
    rate: float
    exposure: float
    factor: float
    told: float
    true: float
    median_seconds: float
    bad_requests: float
    wall_seconds: float


def row(text: str, rps: float, rate: float, exposure: float, runs: int, seed: int) -> Row:
    rule = criterion({"errors": text}) if text.startswith("<") else trigger({"errors": text})
    assert isinstance(rule, WorseThanBaseline | RateBelow)
    setting = Setting(Terms(horizon=BLOCKS), exposure, BLOCKS, 1.0)
    cell = cell_of(rule, setting, Known("rate", rps, rate))
    assert isinstance(cell, Cell), cell
    began = time.perf_counter()
    found = search(cell, setting).smallest
    wall = time.perf_counter() - began
    assert found, "nothing is found in this cell"
    true = harmed(cell, setting, np.array([found.factor]), runs, seed).reached[0]
    return Row(
        text, rps, rate, exposure, found.factor, found.power, float(true), found.seconds, round(found.bad, 1), wall
    )


def measured(runs: int) -> Iterator[Row]:
    cells = product(("worse than baseline", "< 2%"), (10.0, 100.0, 1000.0), (0.002, 0.01), (0.1, 0.5))
    for number, (text, rps, rate, exposure) in enumerate(cells):
        yield row(text, rps, rate, exposure, runs, SEED + number)


def shown(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    yield "rule                  rps   rate  weight  times    told    true  median s       bad  wall s"
    for each in rows:
        yield (
            f"{each.rule:20} {each.rps:4.0f}  {each.rate:5.1%}  {each.exposure:6.0%}  {each.factor:5.4g}  "
            f"{each.told:6.3f}  {each.true:6.3f}  {each.median_seconds:8.0f}  {each.bad_requests:8,.0f}  "
            f"{each.wall_seconds:6.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.power", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help="fresh runs a cell")
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    asked = parser.parse_args()
    rows = list(measured(asked.runs))
    print("\n".join(shown(rows)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n")
    sys.exit(0 if all(LEAST <= each.true <= MOST for each in rows) else 1)


if __name__ == "__main__":
    main()
