"""The guard's systemd unit says what the program understands."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canary.cli.main import app
from canary.journal.keys import CREDENTIAL


@pytest.fixture
def unit(root: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((root / "deployments" / "canary-guard.service").read_text())
    return found


def test_its_command_is_one_of_ours(unit: configparser.ConfigParser) -> None:
    """`canary guard`, with options that it has."""
    _, command, *options = shlex.split(unit["Service"]["ExecStart"])
    said = CliRunner().invoke(app, [command, "--help"]).output
    assert command == "guard"
    assert all(option in said for option in options if option.startswith("--"))


def test_it_brings_the_key_and_comes_back(unit: configparser.ConfigParser) -> None:
    """The credential has the name that the vault looks for, and nothing ends the guard for good."""
    assert unit["Service"]["LoadCredential"].partition(":")[0] == CREDENTIAL
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert unit["Service"]["KillSignal"] == "SIGINT"
