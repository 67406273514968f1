"""What the guard asks of Prefect when a conductor is dead: another run, or whether somebody has cancelled it."""

from __future__ import annotations

import dataclasses
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from canary.journal.store import open_journal
from canary.plan.load import load_plan
from canary.rollout import events as e

if TYPE_CHECKING:
    from .conftest import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAN = Path(str(files("canary.plans"))) / "phase1.yaml"


async def died_in_canary(there: Place, rollout: str, service: str, flow_run: str | None = None) -> None:
    """Its lines up to there, and a lock whose lease ran out a minute ago."""
    loaded, now = load_plan(PLAN), time.time()
    seen = e.Identities(candidate="2.1.0", stable="2.0.9")
    lines: list[e.Event] = [
        e.RolloutStarted(
            plan="phase1",
            plan_hash=loaded.hash,
            service=service,
            version="2.1.0",
            requested_by="Ada",
            how="a test",
            flow_run=flow_run,
        ),
        e.ConductorTook(holder="dead", epoch=1, lease_seconds=20.0),
        e.PreflightPassed(release={"api": seen}, stable_version="2.0.9", sealed=()),
        e.PhaseStarted(phase="canary"),
    ]
    journal = open_journal(env=there.env)
    await journal.append(rollout, 0, [line.entry(now - 80) for line in lines])
    await journal.take(service, rollout, "dead", now - 80, 20.0)
    await journal.close()


@pytest.fixture
async def there(server: Place, tmp_path: Path) -> Place:
    """A journal of its own beside the server, where the plan is deployed."""
    place = dataclasses.replace(server, env={**server.env, "CANARY_HOME": str(tmp_path)})
    code, output = await place.run("canary", "deploy", str(PLAN))
    assert code == 0, output
    return place


async def guard(there: Place) -> str:
    code, output = await there.run("canary", "guard", "--once")
    assert code == 0, output
    return output


async def test_another_run_is_asked_for_once(there: Place) -> None:
    """Two guards find the dead conductor: one run of the plan's deployment, with all that it needs to go on."""
    await died_in_canary(there, "phase1-dead", "docflow")
    await guard(there)
    await guard(there)
    runs = [run for run in await there.everything("flow_runs") if run["idempotency_key"] == "resume:phase1-dead:1"]
    assert [run["parameters"] for run in runs] == [
        {"version": "2.1.0", "plan": load_plan(PLAN).hash, "requested_by": "Ada", "rollout_id": "phase1-dead"}
    ]
    _, lines = await there.journal("phase1-dead")
    assert [line.data for line in lines if line.type == "conductor_asked"] == [{"attempt": 1, "epoch": 1}]


async def test_a_cancelled_run_is_an_abort(there: Place) -> None:
    """Cancelled in Prefect after its process had died: journaled as an abort, and no other run is asked for."""
    run = await there.start("rollout/phase1", version="2.1.0")
    cancelled = await there.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLED"}, force=True)
    assert cancelled["status"] == "ACCEPT"
    await died_in_canary(there, "phase1-cancelled", "docflow", run)
    await guard(there)
    state, _ = await there.journal("phase1-cancelled")
    assert state.stop is not None
    assert (state.stop.kind, state.asked_run) == ("abort", None)
    keys = [run["idempotency_key"] for run in await there.everything("flow_runs")]
    assert "resume:phase1-cancelled:1" not in keys
