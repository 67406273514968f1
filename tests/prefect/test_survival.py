"""What dies in mid-canary, and what brings the users back: the guard, or a process with journal and vault alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from canary.ports import Entry
from canary.rollout.reviving import COMES_WITHIN
from canary.rollout.state import State

if TYPE_CHECKING:
    from .conftest import Place, PlanIn

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _mid_canary(up: Place, plan: Path) -> str:
    """A rollout with users on the candidate, seen on every target."""
    code, output = await up.run("canary", "start", str(plan), "--version", "2.1.0", "--json")
    assert code == 0, output
    rollout: str = json.loads(output.splitlines()[-1])["rollout"]

    async def exposed() -> bool | None:
        if rollout not in await up.rollouts():
            return None
        state, _ = await up.journal(rollout)
        assert not state.ended, state.ended
        return True if state.soaking == "canary" else None

    await up.until(exposed, "10 % on the candidate")
    return rollout


async def _ended(up: Place, rollout: str) -> tuple[State, list[Entry]]:
    async def ended() -> tuple[State, list[Entry]] | None:
        state, entries = await up.journal(rollout)
        return (state, entries) if state.ended else None

    return await up.until(ended, "the end of the rollout")


def _conductor(entries: list[Entry]) -> int:
    """The process id of the newest conductor, from the journal."""
    holders = [entry.data["holder"] for entry in entries if entry.type == "conductor_took"]
    return int(holders[-1].rpartition(":")[2])


async def test_a_killed_conductor_is_replaced(
    up: Place, plan_in: PlanIn, for_hours: tuple[str, str], tmp_path: Path
) -> None:
    """kill -9 of the flow's process in mid-canary: the guard asks Prefect for another run. On a machine that starts it
    within 25 s it goes on with the phase; else the guard brings everybody back."""
    rollout = await _mid_canary(up, plan_in(tmp_path, for_hours))
    _, entries = await up.journal(rollout)
    os.kill(dead := _conductor(entries), signal.SIGKILL)

    async def replaced() -> State | None:
        state, _ = await up.journal(rollout)
        return state if state.takeovers else None

    state = await up.until(replaced, "another process in its place")
    keys = [run["idempotency_key"] for run in await up.everything("flow_runs")]
    assert keys.count(f"resume:{rollout}:1") == 1
    assert state.asked_run is not None
    if not state.rollback:
        code, output = await up.run("canary", "abort", rollout, "--reason", "seen enough")
        assert code == 0, output
    state, entries = await _ended(up, rollout)
    assert state.ended is not None
    assert (state.ended.outcome, state.ended.verified) == ("rolled_back", True)
    assert _conductor(entries) != dead
    assert {name: shown.observed for name, shown in state.targets.items()} == dict.fromkeys(state.targets, 0.0)
    assert [entry.epoch for entry in entries if entry.type == "rollback_verified"] == [2]
    assert state.rollback is not None
    in_time = state.took_at < state.asked_run.at + COMES_WITHIN
    assert state.rollback.cause == ("abort" if in_time else "guard")


async def test_journal_and_vault_are_enough_to_roll_back(
    up: Place, plan_in: PlanIn, for_hours: tuple[str, str], tmp_path: Path
) -> None:
    """Prefect's server killed and its database moved away: a process that is given two settings goes back."""
    rollout = await _mid_canary(up, plan_in(tmp_path, for_hours))
    home = Path(up.env["CANARY_HOME"])
    port = up.ui.rpartition(":")[2]
    server = next(
        process
        for process in psutil.process_iter(["cmdline"])
        if "uvicorn" in (line := process.info["cmdline"] or []) and port in line
    )
    server.kill()
    for file in (home / "prefect").glob("prefect.db*"):
        file.rename(tmp_path / file.name)
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CANARY_JOURNAL_URL": f"sqlite:///{home / 'data' / 'journal.db'}",
        "CANARY_VAULT_KEY": (home / "keys" / "vault.key").read_text().strip(),
    }
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "canary",
        *("rollback", rollout, "--reason", "Prefect is gone", "--json"),
        env=settings,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    line = json.loads(output.decode().splitlines()[-1])
    assert (process.returncode, line["outcome"], line["verified"]) == (3, "rolled_back", True)
    state, _ = await up.journal(rollout)
    assert {name: shown.observed for name, shown in state.targets.items()} == dict.fromkeys(state.targets, 0.0)
