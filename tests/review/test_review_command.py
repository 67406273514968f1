"""`canary review ID` as a user calls it: from a journal on disk, without a Prefect server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from canary.cli.main import app
from canary.errors import BadUsage, UnknownRollout
from canary.journal.store import open_journal
from canary.plan.load import load_plan
from canary.ports import Increment, NewEntry, StoredPlan
from canary.rollout import events as e

from .conftest import Story

PLAN = Path(__file__).parents[2] / "plans" / "phase1.yaml"


@pytest.fixture
def journaled(promoted: Callable[..., Story], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A day's journal in a home of its own, with a survey beside it."""
    monkeypatch.setenv("CANARY_HOME", str(tmp_path))
    monkeypatch.delenv("CANARY_JOURNAL_URL", raising=False)
    over = tmp_path / "over.yaml"
    source = "sources: {survey: {csv: survey.csv, field: score}}"
    (tmp_path / "phase1.yaml").write_text(PLAN.read_text())
    over.write_text(f"overlay: phase1.yaml\n{source}\n")
    (tmp_path / "survey.csv").write_text("score\n5\n4\n?\n")
    loaded = load_plan(over)
    found: dict[str, Any] = {"http_errors": {"canary": Increment(100.0, 1.0), "baseline": Increment(900.0)}}
    story = promoted(found, {"http_errors": {"canary": Increment(100.0)}}, hours=1)
    started = e.RolloutStarted.model_validate(story.entries[0].data).model_copy(update={"plan_hash": loaded.hash})
    lines = [started.entry(story.entries[0].at), *(NewEntry(x.at, x.type, x.data) for x in story.entries[1:])]

    async def write() -> None:
        journal = open_journal(env={"CANARY_HOME": str(tmp_path)})
        await journal.store_plan(StoredPlan(loaded.hash, loaded.plan.name, loaded.plan.service, loaded.body))
        await journal.append("r1", 0, lines)
        await journal.close()

    assert hashlib.sha256(loaded.body.encode()).hexdigest() == loaded.hash
    asyncio.run(write())
    return story


def test_the_command_tells_what_matters_and_writes_the_page(journaled: Story, tmp_path: Path) -> None:
    """The verdict, three lines, each KPI; and a page with the same title."""
    page = tmp_path / "review.html"
    done = CliRunner().invoke(app, ["review", "r1", "--html", str(page)], catch_exceptions=False)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("docflow 2.0.9 → 2.1.0: PROMOTED")
    assert "users of the candidate met 120 bad requests" in lines[3]
    assert sum(line.split()[0] in ("MET", "MISSED", "NO", "NOT") for line in lines[4:]) == 8
    assert "User satisfaction: 4.50, must be > 4.0" in done.stdout
    assert "line 4: score is '?', not a number" in unescape(page.read_text())


def test_as_json_it_is_the_whole_report(journaled: Story) -> None:
    """One document: KPIs, tables and curves."""
    told = json.loads(CliRunner().invoke(app, ["review", "r1", "--json"], catch_exceptions=False).stdout)
    assert told["kpis"][0]["name"] == "Deployment success"
    assert told["tables"][0]["title"] == "Latency before and after"
    assert told["curves"][0]["lines"]["candidate"]


def test_an_unknown_rollout_and_an_unwritable_file_are_bad_usage(journaled: Story, tmp_path: Path) -> None:
    """With what would be right."""
    with pytest.raises(UnknownRollout, match="no rollout 'r2'"):
        CliRunner().invoke(app, ["review", "r2"], catch_exceptions=False)
    with pytest.raises(BadUsage, match="cannot be written: No such file or directory"):
        CliRunner().invoke(app, ["review", "r1", "--html", str(tmp_path / "none" / "x.html")], catch_exceptions=False)
