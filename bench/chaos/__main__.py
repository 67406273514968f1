"""Chaos for the conductor: in virtual time, and for real.

    python -m bench.chaos sim [--seed N] [--runs R] [--processes P] [--within SECONDS] [--out FOLDER]
    python -m bench.chaos sim --seed N --trace
    python -m bench.chaos breaks [--seed N] [--runs R] [--json FILE]
    python -m bench.chaos real --seed N [--minutes M] [--out FOLDER] [--outage [SECONDS] | --full-disk]

Each run has a script drawn from its seed: a plan, a candidate that is good or bad, people, and faults. The conductor,
the guard and the journal's rules are the real ones; time, platforms, metrics and the journal's answers are simulated.
An oracle that knows the truth holds the run against the promises (docs/reliability.md). One seed is one run, always the
same; run number i of a batch has the seed N + i. Exit status 1 when any promise was broken: then each failing seed is
printed with the shortest run that breaks it. `real` kills real processes instead: see bench/chaos/real.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.chaos.batch import Tally, code_hash, explained, sim, write
from bench.chaos.breaks import as_json, breaks
from bench.chaos.play import play
from bench.chaos.real.command import add_to, real
from bench.chaos.script import BOUNDARIES, SIDES, draw

EXPLAINED = 3
"""Failing seeds that are shrunk and printed; of the others only the promise is."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.command == "real":
        return real(options)
    seed = secrets.randbelow(2**40) if options.seed is None else options.seed
    if options.command == "breaks":
        return _breaks(seed, options)
    return _trace(seed) if options.trace else _sim(seed, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sim_ = commands.add_parser("sim", help="simulated runs in virtual time")
    sim_.add_argument("--seed", type=int, help="of the first run; drawn and printed without it")
    sim_.add_argument("--runs", type=int, default=1000)
    sim_.add_argument("--processes", type=int, default=2)
    sim_.add_argument("--within", type=float, metavar="SECONDS", help="begin no further runs after so long")
    sim_.add_argument("--out", type=Path, metavar="FOLDER", help="where <date>-<seed>.json is written")
    sim_.add_argument("--trace", action="store_true", help="play the seed's run alone and print all of it")
    sim_.add_argument("--first", action="store_true", help="end at the first failing seed, and shrink none")
    breaks_ = commands.add_parser("breaks", help="break each promise in a copy of the code: is it noticed?")
    breaks_.add_argument("--seed", type=int)
    breaks_.add_argument("--runs", type=int, default=2000, help="for each break at most")
    breaks_.add_argument("--json", type=Path, metavar="FILE")
    add_to(commands.add_parser("real", help="real processes, killed at their boundaries"))
    return parser


def _breaks(seed: int, options: argparse.Namespace) -> int:
    found = []
    for row in breaks(seed, options.runs):
        found.append(row)
        print(
            f"{row.promise:5} {row.what:62} {row.runs:5} runs: {', '.join(row.named) or 'unnoticed'}",
            flush=True,
        )
    if options.json:
        options.json.write_text(as_json(found))
    return not all(row.named for row in found)


def _trace(seed: int) -> int:
    played = play(draw(seed), trace=True)
    print(*(f"  {fault}" for fault in played.script.faults), *played.trace, sep="\n")
    print(f"seed {seed}: {played.outcome}, {len(played.violations)} violations")
    print(*played.violations, sep="\n")
    return bool(played.violations)


def _sim(seed: int, options: argparse.Namespace) -> int:
    print(f"seed {seed}, code {code_hash()[:12]}", flush=True)
    tally = sim(seed, options.runs, options.processes, options.within, options.first)
    _print(tally)
    if options.out:
        print(f"written to {write(options.out, seed, tally)}")
    for count, (failing, found) in enumerate(sorted(tally.failing.items())):
        print(f"\nseed {failing}: {', '.join(sorted({violation.promise for violation in found}))}")
        if count < EXPLAINED and not options.first:
            print(*explained(failing), sep="\n")
    return bool(tally.failing)


def _print(tally: Tally) -> None:
    print("boundary, and processes that died before and after it:")
    for name in BOUNDARIES:
        print(f"  {name:36}" + "".join(f"{tally.crashes[f'{name} {side}']:8}" for side in SIDES))
    print("other faults: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())))
    ends = ", ".join(f"{count} {name}" for name, count in tally.outcomes.most_common())
    each = tally.milliseconds / max(1, tally.runs)
    print(f"{tally.runs} runs ({ends}), {each:.1f} ms each; {tally.pairs} with two crashes or more,")
    print(f"{tally.real_judge} with the real judge; {len(tally.failing)} broke a promise")


if __name__ == "__main__":
    sys.exit(main())
