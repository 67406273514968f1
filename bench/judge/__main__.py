"""The judge's benchmark; README.md beside this says what is simulated and how every judge is set.

    python -m bench.judge --cells FILE.json --out OUT.json [--seed N] [--reps R]
    python -m bench.judge --audit

Finished cells are added to OUT.json, and skipped when the same seed and reps are asked for again. OUT.svg shows false
rollbacks against bad requests served. --audit enumerates every small block and exits 1 when any form of evidence can
be expected to grow while the canary is as good as allowed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.judge import audit, plot, report
from bench.judge.cell import load
from bench.judge.running import Kept, run
from canary.errors import BadUsage


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 when the audit fails; 2 for a bad file or option."""
    asked = _parser().parse_args(arguments)
    if asked.audit:
        return _audit()
    try:
        return _bench(asked.cells, asked.seed, asked.reps, asked.out)
    except BadUsage as wrong:
        print(wrong, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.judge", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", type=Path, help="what to simulate, as in bench/judge/cells")
    parser.add_argument("--out", type=Path, help="results so far and from now on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reps", type=int, default=20_000, help="runs of a healthy cell in scope; others have fewer")
    parser.add_argument("--audit", action="store_true", help="enumerate instead of simulating")
    return parser


def _audit() -> int:
    found = list(audit.forms())
    for each in found:
        print(f"{each.form:48} {each.blocks:9,} blocks  sup E = 1 {each.most - 1:+.2e}", flush=True)
    return int(any(each.most > audit.LIMIT for each in found))


def _bench(cells: Path | None, seed: int, reps: int, out: Path | None) -> int:
    if cells is None or out is None:
        raise BadUsage("what to simulate, or where to write it, is missing", "give --cells FILE.json --out OUT.json")
    if reps < 1 or seed < 0:
        raise BadUsage(f"--seed {seed} --reps {reps}", "a seed is not negative, and at least 1 run is needed")
    asked = load(cells)
    kept = Kept(out, seed, reps)
    wanted = {cell.title for cell in asked}
    for each in run(asked, kept, workers=min(os.cpu_count() or 1, len(asked))):
        print(f"{len(wanted & {done.cell for done in kept.results})}/{len(wanted)} {each.cell}", file=sys.stderr)
    order = {cell.title: number for number, cell in enumerate(asked)}
    results = sorted((each for each in kept.results if each.cell in wanted), key=lambda each: order[each.cell])
    print("\n".join(report.lines(results)))
    print(
        "\nGates: "
        + (
            "; ".join(report.broken(results))
            or "in scope every default judge keeps α and β, upper ends of the intervals included"
        )
    )
    plot.draw(results, out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
