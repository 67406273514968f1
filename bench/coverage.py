"""How often the range that a verdict calls sure is wrong at any look of a rollout. At most 5 % is promised.

    python -m bench.coverage [--runs N] [--seed N] [--json OUT]

ratio: the true odds ratio of canary and baseline is disproved by `steady` at some block, from either side (that is when
       the interval of a verdict leaves it out). 10 % of the traffic, 30 minutes, independent errors.
share: the canary's true share of bad requests lies outside the interval at some block; errors alone, or in fours.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from canary.judge.backtest.chance import Rate
from canary.judge.bound import BETTER, WORSE, evidence
from canary.judge.profiles import STEADY
from canary.judge.ratio import SURE
from canary.judge.wealth import Counts, Wealth

BLOCKS, SECONDS, SHARE = 120, 15.0, 0.1
NEEDED = 2 / (1 - SURE)


@dataclass(frozen=True)
class Row:
    """One cell. missed: the share of runs in which the truth was left out at some look; high: the upper end of its
    99 % interval."""

    what: str
    rps: float
    bad: float
    true: float
    runs: int
    missed: float
    high: float


def ratio(rps: float, bad: float, true: float, runs: int, draw: np.random.Generator) -> float:
    """The share of runs in which the true odds ratio was disproved."""
    worse, better = Wealth.start(STEADY, true, (runs,)), Wealth.start(STEADY, 1 / true, (runs,))
    odds = true * bad / (1 - bad)
    missed = np.zeros(runs, dtype=bool)
    for block in range(BLOCKS):
        n, other = (draw.poisson(rps * SECONDS * part, runs) for part in (SHARE, 1 - SHARE))
        counts = Counts.of(n, draw.binomial(n, odds / (1 + odds)), other, draw.binomial(other, bad))
        worse, better = worse.add(counts, block // 4), better.add(counts.swapped, block // 4)
        missed |= (worse.owned >= NEEDED) | (better.owned >= NEEDED)
    return float(missed.mean())


def share(rps: float, bad: float, cluster: int, runs: int, draw: np.random.Generator) -> float:
    """The share of runs in which the true share was disproved; bad events come `cluster` at a time."""
    n, x = np.zeros(runs), np.zeros(runs)
    missed = np.zeros(runs, dtype=bool)
    for _ in range(BLOCKS):
        causes = draw.poisson(rps * SECONDS * SHARE * bad / cluster, runs)
        n, x = n + draw.poisson(rps * SECONDS * SHARE * (1 - bad), runs) + causes * cluster, x + causes * cluster
        for side in (WORSE, BETTER):
            missed |= evidence(bad, 4, side, n, x) >= NEEDED
    return float(missed.mean())


def measured(runs: int, seed: int) -> list[Row]:
    draw, rows = np.random.default_rng(seed), list[Row]()
    for rps in (10.0, 100.0, 1000.0):
        for bad in (0.002, 0.01):
            for true in (1.0, 2.0, 5.0):
                missed = ratio(rps, bad, true, runs, draw)
                rows.append(_row("ratio", rps, bad, true, runs, missed))
            for cluster in (1, 4):
                missed = share(rps, bad, cluster, runs, draw)
                rows.append(
                    Row(f"share, by {cluster}", rps, bad, bad, runs, missed, Rate.seen(round(missed * runs), runs).high)
                )
    return rows


def _row(what: str, rps: float, bad: float, true: float, runs: int, missed: float) -> Row:
    return Row(what, rps, bad, true, runs, missed, Rate.seen(round(missed * runs), runs).high)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.coverage", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    asked = parser.parse_args()
    print("what          rps    bad   true   missed  99 % at most")
    rows = measured(asked.runs, asked.seed)
    for row in rows:
        print(f"{row.what:11} {row.rps:5g}  {row.bad:5.1%}  {row.true:5g}  {row.missed:7.2%}  {row.high:7.2%}")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
