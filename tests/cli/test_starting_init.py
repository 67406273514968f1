"""`canary init`: two files to begin with, which can be used as they are written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canary.cli.beginning import TEMPLATES, begin
from canary.cli.blocksfile import read_blocks
from canary.cli.main import app
from canary.cli.variables import VARIABLE
from canary.errors import BadUsage
from canary.plan.load import load_plan
from canary.plan.words import warnings

RUN = CliRunner()


def filled(text: str) -> dict[str, str]:
    """Each variable of a text, with what an address or a token may be."""
    return dict.fromkeys(VARIABLE.findall(text), "http://127.0.0.1:9901/x")


def test_what_init_writes_passes_plan_check_without_a_warning(tmp_path: Path) -> None:
    """The plan is sound before anybody has edited it, and carries the service's name."""
    done = RUN.invoke(app, ["init", str(tmp_path), "--service", "docflow-api"])
    assert done.exit_code == 0, done.output
    loaded = load_plan(tmp_path / "plan.yaml")
    assert (loaded.plan.name, loaded.plan.service) == ("docflow-api", "docflow-api")
    assert list(warnings(loaded.plan)) == []


def test_the_blocks_file_holds_every_block_of_the_plan_and_no_other(tmp_path: Path) -> None:
    """What the plan names can be applied, once the environment holds the variables that the file names."""
    begin(tmp_path, "docflow")
    file = tmp_path / "blocks.yaml"
    found = read_blocks(file, filled(file.read_text()))
    assert found.problems == ()
    assert set(found.blocks) == set(load_plan(tmp_path / "plan.yaml").plan.block_refs())


def test_both_files_mark_what_must_be_edited(tmp_path: Path) -> None:
    """Whoever searches for EDIT finds targets, metrics, people and routes."""
    plan, blocks = (path.read_text() for path in begin(tmp_path))
    assert plan.count("# EDIT") >= 5
    assert blocks.count("# EDIT") >= 3


def test_no_secret_of_the_template_stands_in_clear(tmp_path: Path) -> None:
    """Tokens come from the environment, in the commented examples too."""
    _, blocks = begin(tmp_path)
    tokens = re.findall(r"^[# ]*\w*token: (\S+)", blocks.read_text(), re.MULTILINE)
    assert len(tokens) >= 3
    assert [token for token in tokens if not VARIABLE.fullmatch(token)] == []


@pytest.mark.parametrize("there", TEMPLATES)
def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, there: str) -> None:
    """One of both is there: exit 2 names it, and the other one is not written either."""
    (tmp_path / there).write_text("mine\n")
    done = RUN.invoke(app, ["init", str(tmp_path)])
    assert isinstance(done.exception, BadUsage)
    assert str(tmp_path / there) in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine\n"


def test_init_makes_the_folder_and_tells_what_it_wrote(tmp_path: Path) -> None:
    """A folder that is not there yet is made, parents too; --json names both files."""
    folder = tmp_path / "a" / "b"
    done = RUN.invoke(app, ["init", str(folder), "--json"])
    assert json.loads(done.stdout) == {"written": [str(folder / name) for name in TEMPLATES]}


@pytest.mark.parametrize(
    "service", ["Docflow", "doc_flow", "2flow", "doc flow", "doc--flow", "-x", "", "d" * 61, "d\n"]
)
def test_a_service_name_that_no_block_can_carry_is_refused(tmp_path: Path, service: str) -> None:
    """Prefect's names and the plan's agree on few letters: said at once, and nothing is written."""
    with pytest.raises(BadUsage, match="cannot name a block"):
        begin(tmp_path / "new", service)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(BadUsage, match="cannot be written"):
        begin(tmp_path / "file" / "below")
