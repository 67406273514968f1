"""A plan's dashboard: all that it judges and watches is on it, and deployments/ holds what the commands print."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from canary.boards.dashboard import dashboard
from canary.boards.document import TAG
from canary.cli.plan import app
from canary.plan.load import load_plan
from canary.plan.model import Plan

PHASE1 = Path(__file__).parents[2] / "plans" / "phase1.yaml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(PHASE1).plan


@pytest.fixture(scope="module")
def rows(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """Title of the row → its panels."""
    found: dict[str, list[dict[str, Any]]] = {}
    for panel in dashboard(plan, "2.1.0", "2.0.9")["panels"]:
        if panel["type"] == "row":
            found[panel["title"]] = []
        else:
            found[[*found][-1]].append(panel)
    return found


def _exprs(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_every_line_of_the_runbooks_dashboard_is_there(rows: dict[str, list[dict[str, Any]]], plan: Plan) -> None:
    """One row for each group of key metrics, one panel for each metric in it, under its name."""
    for group, metrics in plan.key_metrics.items():
        panels = rows[group.replace("_", " ").capitalize()]
        assert [panel["title"] for panel in panels] == [metric.name for metric in metrics]


def test_canary_stands_beside_baseline(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Every judged measure and the traffic, each with one curve per version, told apart by the plan's arms."""
    panels = {panel["title"]: panel for panel in rows["Canary beside baseline"]}
    assert [*panels] == [
        "Requests",
        "api_latency: p95",
        "publish_latency: p95",
        "http_errors: share of bad ones",
        "js_errors on features: share of bad ones",
        "http_errors on features: share of bad ones",
    ]
    for panel in panels.values():
        candidate, stable = _exprs(panel)
        assert 'version="${candidate}"' in candidate
        assert candidate.replace("${candidate}", "${stable}") == stable


def test_the_plans_limits_are_drawn(rows: dict[str, list[dict[str, Any]]]) -> None:
    """In the unit of the axis: seconds for times, shares for rates; a rule without a limit draws none."""
    limits = {
        panel["title"]: [
            step["value"] for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        ]
        for panel in rows["Canary beside baseline"]
    }
    assert limits["api_latency: p95"] == [None, 0.2]
    assert limits["publish_latency: p95"] == [None, 0.02]
    assert limits["http_errors: share of bad ones"] == [None, 0.01]
    assert limits["js_errors on features: share of bad ones"] == []


def test_before_and_after(rows: dict[str, list[dict[str, Any]]]) -> None:
    """The whole service now, and at the same hour a week before, whichever version answered."""
    for panel in rows["Before and after"]:
        now, before = _exprs(panel)
        assert before.replace(" offset 1w", "") == now
        assert before != now
        assert "version" not in now


def test_units_fit_what_is_shown(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Shares are drawn as percentages, times in seconds; a histogram in milliseconds is divided."""
    units = {panel["title"]: panel["fieldConfig"]["defaults"]["unit"] for panels in rows.values() for panel in panels}
    assert units["AI filter usage rate"] == "percentunit"
    assert units["Queue load time (with AI data)"] == "s"
    assert units["Export schedule frequency"] == "short"
    assert units["Requests"] == "reqps"
    (publish,) = [panel for panel in rows["Canary beside baseline"] if panel["title"] == "publish_latency: p95"]
    assert all(expr.endswith("/ 1000") for expr in _exprs(publish))


def test_it_is_ours_and_shows_our_marks(plan: Plan) -> None:
    """A tag says whose it is; the marks of the service's rollouts are drawn on every panel; ids are never twice."""
    document = dashboard(plan)
    assert TAG in document["tags"]
    (marks,) = document["annotations"]["list"]
    assert marks["target"] == {"limit": 100, "matchAny": False, "tags": [TAG, "docflow"], "type": "tags"}
    ids = [panel["id"] for panel in document["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {panel["datasource"]["uid"] for panel in document["panels"] if panel["type"] != "row"} == {"${datasource}"}


@pytest.mark.parametrize(
    ("command", "name"), [("alerts", "phase1-alerts.yaml"), ("dashboard", "phase1-dashboard.json")]
)
def test_the_files_in_deployments_are_what_the_commands_print(command: str, name: str) -> None:
    """Nobody edits them by hand: canary plan alerts|dashboard plans/phase1.yaml."""
    printed = CliRunner().invoke(app, [command, str(PHASE1)])
    assert printed.exit_code == 0
    assert (files("canary.deployments") / name).read_text() == printed.stdout


def test_as_json_and_with_versions_it_is_the_same_document(plan: Plan) -> None:
    """On one line, showing these versions at first."""
    argv = ["dashboard", str(PHASE1), "--version", "2.1.0", "--stable", "2.0.9", "--json"]
    printed = CliRunner().invoke(app, argv).stdout
    assert printed.count("\n") == 1
    assert json.loads(printed) == dashboard(plan, "2.1.0", "2.0.9")


def test_the_builder_is_loaded_by_what_builds_alone() -> None:
    """Opening blocks, checking plans and conducting go without it: it would slow every command down."""
    code = """
import sys
import canary.blocks.registry, canary.cli.main, canary.rollout.conducting
assert not [name for name in sys.modules if name.startswith("grafana_foundation_sdk")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
