"""How long `canary demo` takes from the rollout's start to its exit code, and what a rollout's process weighs.

    python -m bench.demo [--fault NAME ...] [--runs N] [--json OUT]

`setup` is from the command to its line "rollout … started" (sandbox, Prefect server, worker and guard are up then);
`rollout` is the JSON line's `seconds`; `to the exit` is from that line to the end of the process: the rollout, the
reviews of a promoted one, and taking everything down. `memory` is the largest resident size (RSS) seen in the one
process that runs the flow, read from /proc every half second until the end.
Aims: 150 s to the exit without a fault, 60 s with one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

FAULTS = ("none", "errors", "feature", "latency", "ui", "starve", "telemetry")
LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Run:
    """One demo. Seconds; memory in MiB; exit 0 is promoted, 3 rolled back."""

    fault: str
    exit: int
    outcome: str
    setup: float
    rollout: float
    to_exit: float
    bad_requests: int
    memory: float
    reason: str


class Scales:
    """The largest RSS of the flow's process below this one, sampled in a thread."""

    def __init__(self, root: int) -> None:
        self.most = 0
        self._root = psutil.Process(root)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """MiB."""
        self._over.set()
        self._thread.join()
        return self.most / 2**20

    def _sample(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                for process in self._root.children(recursive=True):
                    if "prefect.engine" in " ".join(process.cmdline()) or "prefect.flow_engine" in process.cmdline():
                        self.most = max(self.most, process.memory_info().rss)
            except psutil.Error:
                continue


def one(fault: str) -> Run:
    argv = [str(Path(sys.executable).with_name("canary")), "demo", "--json", "--fault", fault]
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as home:
        environment = {**os.environ, "CANARY_HOME": home}
        began = time.perf_counter()
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, env=environment, text=True, stdout=pipe, stderr=pipe) as demo:
            scales, started = Scales(demo.pid), 0.0
            for line in demo.stderr or ():
                if not started and line.startswith("rollout ") and " started" in line:
                    started = time.perf_counter()
            told = demo.stdout.read() if demo.stdout else ""
            code, memory = demo.wait(), scales.stop()
        ended = time.perf_counter()
    line = json.loads(told.splitlines()[-1])
    seconds = (started - began, float(line["seconds"]), ended - started)
    return Run(fault, code, line["outcome"], *seconds, int(line["bad_requests"]), memory, line["reason"])


def shown(runs: Sequence[Run]) -> Iterator[str]:
    """The table."""
    yield "fault      exit  outcome       setup s  rollout s  to the exit s  bad requests  memory MiB"
    for run in runs:
        seconds = f"{run.setup:7.1f}  {run.rollout:9.1f}  {run.to_exit:13.1f}"
        yield f"{run.fault:9}  {run.exit:4}  {run.outcome:12}  {seconds}  {run.bad_requests:12}  {run.memory:10.0f}"
    yield from (f"{run.fault}: {run.reason}" for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this fault only; may be repeated")
    parser.add_argument("--runs", type=int, default=1, help="demos a fault")
    parser.add_argument("--json", type=Path, help="where to write the runs, too")
    asked = parser.parse_args()
    runs = [one(fault) for fault in asked.fault or FAULTS for _ in range(asked.runs)]
    print("\n".join(shown(runs)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")


if __name__ == "__main__":
    main()
