"""`canary sandbox`: what it prints, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from canary.cli.sandbox import app
from canary.sandbox.control import Sandbox
from canary.sandbox.state import is_running

if TYPE_CHECKING:
    from .conftest import World

Run = Callable[..., Result]


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    """A command in the home of the session's sandbox, or of another."""

    def invoke(*arguments: str, home: Path = sandbox.home) -> Result:
        return CliRunner().invoke(app, arguments, env={"CANARY_HOME": str(home)})

    return invoke


@pytest.fixture
def foreground(home: Path) -> Iterator[subprocess.Popen[str]]:
    code = "from canary.cli.sandbox import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "up", "--rps", "0", "--json"],
        env={**os.environ, "CANARY_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_status_is_told_in_words_and_in_json(run: Run) -> None:
    """Versions, weights, flags, fault and what users saw."""
    words = run("status").stdout
    for part in ("blue 2.0.9", "api blue 100 % green 0 %", "fault", "sent"):
        assert part in words
    said = json.loads(run("status", "--json").stdout)
    assert said["versions"]["blue"] == "2.0.9"
    assert said["weights"]["web"] == {"blue": 10_000, "green": 0}


async def test_fault_says_where_it_strikes(world: World) -> None:
    """On the candidate's colour."""
    result = await subprocess_run(world.sandbox.home, "fault", "ui")
    assert result == (0, "fault: ui, on green\n", "")
    assert (await world.sandbox.status()).fault == "ui"
    code, said, _ = await subprocess_run(world.sandbox.home, "fault", "none", "--json")
    assert (code, json.loads(said)) == (0, {"fault": "none", "candidate": "green"})


def test_a_wrong_fault_names_the_right_ones(run: Run) -> None:
    """Exit 2, with a guess."""
    result = run("fault", "errorz")
    assert result.exit_code == 2
    assert "did you mean errors?" in result.stderr
    assert "none, errors, feature, latency, ui, starve, telemetry" in result.stderr


@pytest.mark.parametrize("command", [["status"], ["down"], ["fault", "ui"]])
def test_without_a_sandbox_it_says_how_to_start_one(run: Run, tmp_path: Path, command: list[str]) -> None:
    """Exit 2; with --json the same as an object."""
    result = run(*command, home=tmp_path)
    assert result.exit_code == 2
    assert "canary sandbox up" in result.stderr
    said = json.loads(run(*command, "--json", home=tmp_path).stdout)
    assert said["fix"] == "start one: canary sandbox up"


def test_up_detached_returns_and_down_ends_it(run: Run, home: Path) -> None:
    """It goes on after the command; a second one is refused; no secret is printed."""
    first = run("up", "--detach", "--rps", "0", home=home)
    assert first.exit_code == 0
    assert Sandbox.attach(home).state.router_url in first.stdout
    assert Sandbox.attach(home).state.admin_token not in first.stdout
    assert run("up", "--detach", home=home).exit_code == 2
    assert run("down", home=home).stdout == "sandbox stopped\n"
    assert run("status", home=home).exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stays_until_it_is_interrupted(
    foreground: subprocess.Popen[str], home: Path, number: signal.Signals
) -> None:
    """Then it stops the sandbox and ends well."""
    assert foreground.stdout is not None
    said = json.loads(foreground.stdout.readline())
    assert said["router_url"] == Sandbox.attach(home).state.router_url
    foreground.send_signal(number)
    assert foreground.wait(15) == 0
    assert not (home / "sandbox.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing(
    foreground: subprocess.Popen[str], home: Path, number: signal.Signals
) -> None:
    """Ctrl-C before it serves: the command ends, and no process of the sandbox goes on."""
    deadline = time.monotonic() + 15
    while not is_running(home) and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    foreground.send_signal(number)
    assert foreground.wait(15) == 0
    while is_running(home) and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    assert not is_running(home)


def test_up_ends_with_a_sandbox_that_ends_by_itself(foreground: subprocess.Popen[str]) -> None:
    """Exit 1: somebody waits for a playground that is gone."""
    assert foreground.stdout is not None
    os.kill(json.loads(foreground.stdout.readline())["pids"]["envoy"], signal.SIGKILL)
    assert foreground.wait(15) == 1


async def subprocess_run(home: Path, *arguments: str) -> tuple[int | None, str, str]:
    """As a process of its own: a test that runs an event loop cannot call the command in process."""
    code = "from canary.cli.sandbox import app; app()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments),
        env={**os.environ, "CANARY_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
