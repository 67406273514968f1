"""`canary plan check|schema|show` as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from canary.cli.plan import app
from canary.plan.load import load_plan, parse_plan
from canary.plan.words import phase_in_words

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def runner() -> CliRunner:
    """Runs commands in this process."""
    return CliRunner()


def test_check_tells_each_phase_in_words_and_what_is_not_built(runner: CliRunner, plans: Path) -> None:
    """The runbook can be used; its platforms' blocks are announced, not refused."""
    done = runner.invoke(app, ["check", str(plans / "phase1.yaml")])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "phase1 of service docflow can be used" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["1. staging", "2. canary", "3. full"]
    assert "10% of users on the candidate for 30m" in lines[2]
    assert "begins when product_owner and technical_lead approved, within 8h" in lines[2]
    assert "js_errors none on features" in lines[2]
    assert "if undecided: 30m longer, then hold for at most 8h" in lines[2]
    assert "reviewed after 24h and 48h: 15 key metrics; 3 alerts; 8 KPIs; no source configured for survey" in lines[5]
    assert "no target's set holds its flag, so everything is rolled back" in lines[4]
    assert lines[6].startswith("note: taken at their word: js_errors none on features, http_errors any on features")
    assert lines[7:] == []


def test_check_warns_of_what_only_a_demonstration_should_do(runner: CliRunner, plan_file: Write) -> None:
    """Granted approvals, scaled time and skipped checks are said aloud."""
    edits = {"grant_approvals": True, "time_scale": 60, "without": ["home"]}
    done = runner.invoke(app, ["check", str(plan_file(edits)), "--json"])
    told = json.loads(done.stdout)
    assert told["warnings"] == [
        "approvals are granted by the plan itself; nobody will be asked",
        "plan time runs 60 times as fast as the clock",
        "check 'home' will be skipped",
    ]
    assert told["problems"] == []
    assert told["hash"] == load_plan(plan_file(edits)).hash


def test_a_sound_plan_without_specialities_has_no_warning(runner: CliRunner, plan_file: Write) -> None:
    """Warnings mean something."""
    assert json.loads(runner.invoke(app, ["check", str(plan_file({})), "--json"]).stdout)["warnings"] == []


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_bad_plan_is_exit_code_2_with_its_problems_on_stderr(
    runner: CliRunner, plan_file: Write, command: str
) -> None:
    """Nothing on stdout that a script could take for an answer, unless it asked for JSON."""
    file = plan_file({"traffic": "x", "notify.page": []})
    done = runner.invoke(app, [command, str(file)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("the plan has 2 problems:")
    assert f"{file}:" in done.stderr
    as_json = runner.invoke(app, [command, str(file), "--json"])
    assert as_json.exit_code == 2
    assert len(json.loads(as_json.stdout)["problems"]) == 2


def test_a_missing_file_is_exit_code_2(runner: CliRunner, tmp_path: Path) -> None:
    """Said in the plan's own words, not by the option parser."""
    done = runner.invoke(app, ["check", str(tmp_path / "none.yaml")])
    assert done.exit_code == 2
    assert "no such file" in done.stderr


def test_show_prints_the_resolved_plan(runner: CliRunner, plans: Path, tmp_path: Path) -> None:
    """As YAML that is itself the same plan, and as JSON that is the stored body."""
    loaded = load_plan(plans / "demo.yaml")
    shown = tmp_path / "shown.yaml"
    shown.write_text(runner.invoke(app, ["show", str(plans / "demo.yaml")]).stdout)
    assert YAML(typ="safe").load(shown)["metrics"] == "scraper/docflow"
    assert load_plan(shown).hash == loaded.hash
    told = json.loads(runner.invoke(app, ["show", str(plans / "demo.yaml"), "--json"]).stdout)
    assert told["hash"] == loaded.hash
    assert parse_plan(json.dumps(told["plan"])) == loaded.plan


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_schema_prints_a_json_schema(runner: CliRunner, options: list[str]) -> None:
    """With and without --json."""
    done = runner.invoke(app, ["schema", *options])
    assert done.exit_code == 0
    Draft202012Validator.check_schema(json.loads(done.stdout))


def test_a_phase_without_patience_says_that_it_rolls_back(plan_file: Write) -> None:
    """The default for an undecided phase is in the words, too."""
    words = [phase_in_words(phase) for phase in load_plan(plan_file({})).plan.phases]
    assert words[0] == "staging: nobody on the candidate for 10m; looks at home, numbers"
    assert words[1].endswith("if undecided: roll back")
    assert words[2] == "full: everybody on the candidate"
