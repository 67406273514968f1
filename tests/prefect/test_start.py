"""`canary start` when something is missing: it says what, and the command to type; nothing is started."""

from __future__ import annotations

import dataclasses
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from canary.journal.store import open_journal

if TYPE_CHECKING:
    from .conftest import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = ("canary", "start", str(files("canary.plans") / "phase1.yaml"), "--version", "2.1.0")


async def runs(server: Place) -> int:
    return len(await server.everything("flow_runs"))


async def test_without_a_worker_start_names_the_command(server: Place) -> None:
    """Nobody polls the pool, so the run would wait for ever: exit 2, with the worker's command, and no run."""
    before = await runs(server)
    code, output = await server.run(*START)
    assert code == 2
    assert "no worker polls the work pool 'canary'" in output
    assert "prefect worker start --pool canary --type process" in output
    assert "Traceback" not in output
    assert await runs(server) == before


async def test_a_second_start_for_the_service_names_the_running_one(server: Place, tmp_path: Path) -> None:
    """While a rollout of the service holds its lock another one is refused with exit 2, and told what to type."""
    there, before = dataclasses.replace(server, env={**server.env, "CANARY_HOME": str(tmp_path)}), await runs(server)
    journal = open_journal(env=there.env)
    lock = await journal.take("docflow", "phase1-running", "somewhere:1", time.time(), 20.0)
    code, output = await there.run(*START)
    assert code == 2
    assert "docflow is already being rolled out by phase1-running" in output
    assert "canary abort phase1-running" in output
    await journal.release(lock)
    code, output = await there.run(*START)
    assert "already being rolled out" not in output
    await journal.close()
    assert await runs(server) == before


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "PREFECT_API_URL is not set"),
        ("http://somebody:s3cret@127.0.0.1:9/api", "the Prefect API at 127.0.0.1:9 does not answer"),
    ],
)
async def test_without_a_prefect_api_start_says_so(server: Place, tmp_path: Path, url: str | None, says: str) -> None:
    """Unset or away: exit 2 with one clear sentence, no server of Prefect's own, and no password repeated."""
    env = {**server.env, "CANARY_HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    env.pop("PREFECT_API_URL")
    there = dataclasses.replace(server, env=env | ({"PREFECT_API_URL": url} if url else {}))
    for command in (START, ("canary", "deploy", START[2])):
        code, output = await there.run(*command)
        assert code == 2, output
        assert says in output
        assert "s3cret" not in output
        assert "Traceback" not in output
