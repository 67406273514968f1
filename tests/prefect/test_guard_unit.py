"""deployments/canary-guard.service: what it names exists, under these names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from canary.cli.main import COMMANDS
from canary.journal.keys import CREDENTIAL

UNIT = Path(str(files("canary.deployments") / "canary-guard.service"))


def settings() -> dict[str, str]:
    lines = (line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_the_unit_starts_a_command_that_exists_and_hands_it_the_vaults_key() -> None:
    """`canary guard` is a command, and the credential has the name under which the vault looks for it."""
    program, command = settings()["ExecStart"].split()
    assert Path(program).name == "canary"
    assert command in COMMANDS
    assert settings()["LoadCredentialEncrypted"].split(":")[0] == CREDENTIAL


def test_the_guard_comes_back_however_often_it_fails() -> None:
    """systemd gives up after five starts in ten seconds unless it is told otherwise: a journal away lasts longer."""
    assert settings()["Restart"] == "always"
    assert settings()["StartLimitIntervalSec"] == "0"
