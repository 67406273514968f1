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
    "parts = (Part('s1', '2.0.0-bad', (server, postgres)),); "
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
    """What the oracle tells of the one that there is: a second one's start would be struck by the first one's kill."""
    require("postgres")
    done = run(PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_kills_break_no_promise(rollouts: list[dict[str, object]]) -> None:
    """Prefect's server dies as a bad candidate gets users, and then the journal's Postgres in the midst of an append:
    users are brought back all the same."""
    (bad,) = rollouts
    assert bad["outcome"] == "rolled_back"
    assert bad["violations"] == []


def test_each_kill_had_its_moment(rollouts: list[dict[str, object]]) -> None:
    """A round in which nothing died would show nothing."""
    assert [len(each["kills"]) for each in rollouts] == [2]  # type: ignore[arg-type]
