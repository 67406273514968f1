"""Does some test notice each small change to the code that decides?

    python -m bench.mutants [--only FILE]… [--seconds S] [--json OUT]

Each mutant of the files in bench/mutants/targets.py is tried against the tests that run its lines, quickest first, in
a fork of a process that has collected them. OUT is added to: what was killed in a file that did not change is not tried
again. bench/mutants/equivalent.json says of which mutants no test can notice anything, and why; they do not count.
Exit status 1 when a file is below the aim, or when a mutant that is said to be equivalent was killed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.mutants.kept import Kept, Row
from bench.mutants.operators import Mutant, mutants
from bench.mutants.session import ROOT, run
from bench.mutants.targets import AIM, FILES, TESTS

EQUIVALENT = Path(__file__).with_name("equivalent.json")


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    kept = Kept(asked.json, EQUIVALENT)
    wanted = {file: kept.begin(file, *_read(file)) for file in FILES if not asked.only or file in asked.only}
    kept.write()

    def told(file: str, mutant: Mutant, killed: bool) -> None:
        kept.tell(file, mutant, killed)
        if not killed and mutant.name not in kept.rows[file].equivalent:
            print(f"survived: {file}:{mutant.line} {mutant.name}", flush=True)

    run(TESTS, wanted, told, asked.seconds)
    return _table(kept.rows)


def _read(file: str) -> tuple[str, list[Mutant]]:
    path = ROOT / file
    text = path.read_text()
    return text, list(mutants(text, str(path)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=FILES, metavar="FILE", help="this file's mutants")
    parser.add_argument("--seconds", type=float, default=1e9, help="of tests, CPU, on one mutant at most")
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results/mutants.json", metavar="OUT")
    return parser


def _table(rows: dict[str, Row]) -> int:
    """Printed; the exit status."""
    print(f"{'file':40} mutants  equivalent  killed  score")
    for file, row in rows.items():
        killed = len(row.killed - row.equivalent.keys())
        print(f"{file:40} {len(row.mutants):7} {len(row.equivalent):11} {killed:7} {row.score:6.1%}")
    wrong = [f"{file}: {name}" for file, row in rows.items() for name in row.wrongly_equivalent]
    print(*(f"not equivalent: {each}" for each in wrong), sep="\n", end="\n" if wrong else "")
    return int(bool(wrong) or any(row.score < AIM for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
