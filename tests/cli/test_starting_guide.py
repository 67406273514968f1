"""docs/getting-started.md: what it tells people to type exists, and its files fit to what `canary init` writes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from typer.main import get_command

from canary.cli.beginning import begin
from canary.cli.following import EXIT_CODES, WITHOUT_FEATURES, outcome_line
from canary.cli.main import app
from canary.cli.variables import VARIABLE
from canary.plan.load import load_plan
from canary.rollout.state import State as Rollout
from canary.sandbox.state import State

GUIDE = (Path(__file__).parents[2] / "docs" / "getting-started.md").read_text("utf-8")
TYPED = re.findall(r"^(?:\$ )?(canary .*)$", GUIDE, re.MULTILINE)


def heredoc(file: str) -> str:
    """What the guide writes into that file."""
    (text,) = re.findall(rf"^\$ cat >{re.escape(file)} <<'END'\n(.*?)^END$", GUIDE, re.MULTILINE | re.DOTALL)
    return str(text)


def context(words: list[str]) -> click.Context:
    """The command as click reads it; nothing is run. Raises click's error for what it does not know."""
    command, names = get_command(app), ["canary"]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]}")
        command, names, words = found, [*names, words[0]], words[1:]
    return command.make_context(" ".join(names), list(words), resilient_parsing="--help" in words)


@pytest.mark.parametrize("line", dict.fromkeys(TYPED))
def test_every_command_of_the_guide_exists_with_its_options(line: str) -> None:
    """A command that was renamed, or an option that is gone, is found here."""
    words = shlex.split(line.partition(" >")[0], comments=True)
    assert context(words[1:]).command.name


def test_the_guide_names_the_commands_of_a_teams_start() -> None:
    """The reading above found something to read."""
    assert {"init", "blocks", "deploy", "doctor", "start", "guard"} <= {line.split()[1] for line in TYPED}


def test_the_rehearsal_is_an_overlay_of_what_init_writes(tmp_path: Path) -> None:
    """It checks, keeps the phases, and asks nobody."""
    begin(tmp_path, "docflow")
    (tmp_path / "rehearsal.yaml").write_text(heredoc("rehearsal.yaml"))
    rehearsed, plan = load_plan(tmp_path / "rehearsal.yaml").plan, load_plan(tmp_path / "plan.yaml").plan
    assert rehearsed.phases == plan.phases
    assert rehearsed.grant_approvals
    assert not plan.grant_approvals


def test_the_sandbox_tells_every_variable_of_the_blocks_file(tmp_path: Path) -> None:
    """The guide's few lines read the sandbox's own file, and export what the template asks for; quoted."""
    urls = ("router_url", "admin_url", "deploy_url", "flags_url", "control_url")
    tokens = ("admin_token", "flags_token", "control_token", "internal_token", "docflow_token")
    state = State.model_validate(
        {name: f"http://127.0.0.1:9/{name}" for name in urls}
        | {name: f"a b;{name}" for name in tokens}
        | {"pids": {}, "metrics_urls": {"blue": "http://127.0.0.1:9/b", "green": "http://127.0.0.1:9/g"}}
    )
    (tmp_path / "sandbox.json").write_text(state.model_dump_json())
    (tmp_path / "sandbox.py").write_text(heredoc("sandbox.py"))
    shown = subprocess.run(
        [sys.executable, "sandbox.py"],
        cwd=tmp_path,
        env={"CANARY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    exported = dict(re.findall(r"^export (\w+)=(.*)$", shown, re.MULTILINE))
    _, blocks = begin(tmp_path / "release", "docflow")
    used = "\n".join(line.partition("#")[0] for line in blocks.read_text().splitlines())
    asked = set(VARIABLE.findall(used))
    assert asked <= set(exported)
    assert shlex.split(exported["ADMIN_TOKEN"]) == ["a b;admin_token"]


def test_the_ci_recipe_knows_every_exit_code_of_an_outcome() -> None:
    """A code that `--wait` may end with has its own branch."""
    recipe = GUIDE[GUIDE.index("## From CI") :]
    assert {int(code) for code in re.findall(r"^  (\d)\) ", recipe, re.MULTILINE)} == {
        *EXIT_CODES.values(),
        WITHOUT_FEATURES,
    }


def test_the_ci_recipe_names_the_keys_of_the_outcome_line() -> None:
    """What a pipeline may read is written down."""
    assert [key for key in outcome_line(Rollout("docflow-1")) if f"`{key}`" not in GUIDE] == []
