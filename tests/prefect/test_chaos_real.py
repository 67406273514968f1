"""A short share of the real chaos in every run of the tests: real Prefect, Postgres and Envoy, two kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGINS = "import asyncio, json, tempfile; from bench.chaos.real.command import one_round; "
PROGRAM = BEGINS + (
    "from bench.chaos.real.script import Kill, Part, Round; "
    "server = Kill('server', 'KILL', 'exposure_observed:up', 'after', lasts=4.0); "
    "postgres = Kill('postgres', 'KILL', 'sampled', 'before', 2, 1.0); "
    "parts = Part('s1', '2.0.0-bad', (server,)), Part('s2', '2.0.0', (postgres,)); "
    "print(json.dumps(asyncio.run(one_round(Round(1, parts)))))"
)


def run(program: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Prefect reads its settings once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "CANARY_"))}
    environment = kept | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280)


@pytest.fixture(scope="module")
def rollouts(require: Callable[[str], Path]) -> list[dict[str, object]]:
    """What the oracle tells of both."""
    require("postgres")
    done = run(PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_kills_break_no_promise(rollouts: list[dict[str, object]]) -> None:
    """Prefect's server dies as a bad candidate gets users, and the journal's Postgres in the midst of an append: the
    bad one is brought back, the good one ends all new or all old."""
    bad, good = rollouts
    assert bad["outcome"] == "rolled_back"
    assert good["outcome"] in ("promoted", "rolled_back")
    assert [each["violations"] for each in rollouts] == [[], []]


def test_each_kill_had_its_moment(rollouts: list[dict[str, object]]) -> None:
    """A round in which nothing died would show nothing."""
    assert [len(each["kills"]) for each in rollouts] == [1, 1]  # type: ignore[arg-type]
