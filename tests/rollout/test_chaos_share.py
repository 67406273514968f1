"""A share of fresh simulated storms in every run of the tests, by the program that runs the large batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python, with the code of this checkout."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"} | variables
    command = [sys.executable, *argv]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def chaos(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program."""
    return run("-m", "bench.chaos", *argv, **variables)


def test_fresh_storms_break_no_promise() -> None:
    """Seeds that nobody has seen before; a failing one is printed with the shortest run that breaks the promise."""
    done = chaos("sim", "--runs", "100", "--within", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broke a promise" in done.stdout


@pytest.mark.parametrize("seed", [12233, 22268])
def test_one_seed_is_one_run(seed: int) -> None:
    """In another process, with other hashes, the same lines at the same times."""
    one, other = (chaos("sim", "--seed", str(seed), "--trace", PYTHONHASHSEED=hashes).stdout for hashes in "12")
    assert one == other
    assert f"seed {seed}: " in one


def test_what_is_remembered_changes_no_run() -> None:
    """Where every process parses and folds for itself, the same lines at the same times."""
    both = (
        "import bench.chaos.memo as memo; from bench.chaos.play import play, draw; "
        "traces = lambda: [play(draw(seed), trace=True).trace for seed in range(12230, 12245)]; "
        "remembered = traces(); memo.FAITHFUL = 1; assert remembered == traces()"
    )
    done = run("-c", both)
    assert done.returncode == 0, done.stderr


def test_a_broken_promise_is_an_exit_status() -> None:
    """Old evidence is made to pass a phase: noticed, and the seed and the promise are named."""
    edit = (
        "import sys; import canary.rollout.decide as d; from bench.chaos.__main__ import main; "
        "d._blind = lambda plan, state, now: ''; "
        "sys.exit(main(['sim', '--seed', '1', '--runs', '2000', '--first']))"
    )
    done = run("-c", edit)
    assert done.returncode == 1, done.stdout + done.stderr
    assert ": I3" in done.stdout
