"""`canary journal`: shown, exported and imported as a user types it. No Prefect anywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from canary.ports import StoredPlan


@pytest.fixture
def plan(plan: StoredPlan) -> StoredPlan:
    """With the hash of its body, as every deployed plan has it."""
    return StoredPlan(hashlib.sha256(plan.body.encode()).hexdigest(), plan.name, plan.service, plan.body)


@pytest.fixture
def told(desk: Any, shop: Any, plan: StoredPlan) -> Any:
    """The desk, with one rollout in its journal."""
    shop.started = shop.started.model_copy(update={"plan_hash": plan.hash})
    desk.tell("r1", shop.until_canary())
    return desk


def test_show_may_be_left_out(told: Any) -> None:
    """`journal ID`, `journal --json ID` and `journal show ID` are one; the help names all there is."""
    plain = told.canary("journal", "show", "r1").stdout
    assert plain.splitlines()[0].split()[3] == "rollout_started"
    assert told.canary("journal", "r1").stdout == plain
    assert told.canary("journal", "--json", "r1").stdout == told.canary("journal", "show", "r1", "--json").stdout
    helped = told.canary("journal", "--help").stdout
    assert all(word in helped for word in ("canary journal ID", "export", "import"))


def test_a_rollout_may_be_called_like_a_command(desk: Any, shop: Any) -> None:
    """Its journal is shown with the long form."""
    desk.tell("export", shop.until_canary())
    assert "rollout_started" in desk.canary("journal", "show", "export").stdout


def test_a_journal_moves_to_another_database(told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exported here, imported where CANARY_JOURNAL_URL points next, it is shown there line by line the same."""
    lines, file = told.canary("journal", "r1", "--json").stdout, tmp_path / "out.jsonl"
    assert told.canary("journal", "export", str(file)).stdout == f"{file}: 15 entries, 1 plans\n"
    monkeypatch.setenv("CANARY_JOURNAL_URL", f"sqlite:///{tmp_path}/other.db")
    done = told.canary("journal", "import", str(file), "--json")
    assert json.loads(done.stdout) == {"rollouts": ["r1"], "entries": 15, "plans": 1}
    assert told.canary("journal", "r1", "--json").stdout == lines
    assert "r1  shop 2.0.0" in told.canary("status").stdout


def test_one_rollout_is_exported(told: Any, shop: Any, tmp_path: Path) -> None:
    """--rollout names it; the other is not in the file."""
    told.tell("r2", shop.until_canary())
    done = told.canary("journal", "export", str(tmp_path / "out.jsonl"), "--rollout", "r2", "--json")
    assert json.loads(done.stdout) == {"file": str(tmp_path / "out.jsonl"), "entries": 15, "plans": 1}
    assert '"r1"' not in (tmp_path / "out.jsonl").read_text()


def test_what_is_refused_is_bad_usage(told: Any, tmp_path: Path) -> None:
    """A file that exists, a rollout that is there already, one that is unknown: exit 2 and what to do."""
    file = str(tmp_path / "out.jsonl")
    told.canary("journal", "export", file)
    calls = [("export", file), ("import", file), ("export", str(tmp_path / "new"), "--rollout", "r9")]
    errors = [told.canary("journal", *call).exception for call in calls]
    assert [error.exit_code for error in errors] == [2, 2, 2]
    assert all(error.fix for error in errors)
