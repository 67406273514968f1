"""How long a person waits for the command line: whole processes, from start to exit.

    python -m bench.startup [--runs N] [--json OUT]

`wall` is what a person waits and depends on what else the machine does; `cpu` (user and system) does not.
Aims: 0.3 s for the help, 0.6 s for a plan's check.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One command. Seconds."""

    command: str
    aim: float
    wall: Sequence[float]
    cpu: Sequence[float]


def spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def once(arguments: Sequence[str], home: str) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    began, before = time.perf_counter(), spent()
    argv = [str(Path(sys.executable).with_name("canary")), *arguments]
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, "CANARY_HOME": home})
    return time.perf_counter() - began, spent() - before


def measured(name: str, arguments: Sequence[str], aim: float, runs: int) -> Row:
    """One run before is not counted: it may have to compile."""
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as home:
        found = [once(arguments, home) for _ in range(runs + 1)][1:]
    return Row(name, aim, [wall for wall, _ in found], [cpu for _, cpu in found])


def shown(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    yield "command                  runs  aim s  wall s: median, max  cpu s: median"
    for row in rows:
        wall = f"{statistics.median(row.wall):.2f}, {max(row.wall):.2f}"
        cpu = statistics.median(row.cpu)
        yield f"{row.command:23}  {len(row.wall):4}  {row.aim:5.1f}  {wall:>19}  {cpu:13.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where to write the runs, too")
    asked = parser.parse_args()
    with as_file(files("canary.plans") / "phase1.yaml") as plan:
        rows = [
            measured("canary --help", ["--help"], 0.3, asked.runs),
            measured("canary plan check phase1", ["plan", "check", str(plan)], 0.6, asked.runs),
        ]
    print("\n".join(shown(rows)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
