"""A review that Prefect lost is made again by the guard."""

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

DAY = 86_400.0


async def promoted_two_days_ago(journal_of: Place, plan: Path) -> None:
    """As it stands in the journal when both reviews were scheduled and only the first one ran."""
    loaded, began = load_plan(plan), time.time() - 2 * DAY - 600
    lines: list[e.Event] = [
        e.RolloutStarted(
            plan="phase1", plan_hash=loaded.hash, service="docflow", version="2.1.0", requested_by="Ada", how="a test"
        ),
        e.ReviewDue(offset=DAY, due=began + DAY),
        e.ReviewDue(offset=2 * DAY, due=began + 2 * DAY),
        e.RolloutEnded(outcome="promoted", phase="full", reason="every phase has passed", verified=True),
        e.Reviewed(offset=DAY, lines=("fine",)),
    ]
    journal = open_journal(env=journal_of.env)
    await journal.append("phase1-lost", 0, [line.entry(began) for line in lines])
    await journal.close()


async def test_the_guard_makes_a_lost_review_again_once(server: Place, tmp_path: Path) -> None:
    """Two guards ask for it, one run comes of it; the review that was made is left alone."""
    there = dataclasses.replace(server, env={**server.env, "CANARY_HOME": str(tmp_path)})
    plan = Path(str(files("canary.plans"))) / "phase1.yaml"
    code, output = await there.run("canary", "deploy", str(plan))
    assert code == 0, output
    await promoted_two_days_ago(there, plan)
    for _ in range(2):
        code, output = await there.run("canary", "guard", "--once")
        assert code == 0, output
        assert "made again: review:phase1-lost:172800:again" in output
    runs = [run["parameters"] for run in await there.everything("flow_runs")]
    assert runs.count({"rollout": "phase1-lost", "offset_seconds": 2 * DAY}) == 1
    assert [run["offset_seconds"] for run in runs if run.get("rollout") == "phase1-lost"] == [2 * DAY]
