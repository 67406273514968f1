"""docs/mission-map.md says only what is so: what is done has a test that runs, the rest a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SLOTS = ("satisfaction", "survey", "ticket", "feature requests", "manual-classification time")
LATER = ("Vercel", "Fly", "Global Config", "Grafana", "signed approvals")
STATES = ("done", "slot", "later")


@pytest.fixture(scope="module")
def rows(root: Path) -> list[list[str]]:
    """Line of the runbook, plan key, code, state, test or reason."""
    lines = (root / "docs" / "mission-map.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] != "runbook"]


@pytest.fixture(scope="module")
def collected(root: Path, all_collected: set[str] | None) -> set[str]:
    """Every test that pytest finds, without its parameters."""
    if all_collected is not None:
        return all_collected
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    found = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True)
    return {line.partition("[")[0] for line in found.stdout.splitlines() if "::" in line}


def test_every_row_has_a_state_and_what_belongs_to_it(rows: list[list[str]]) -> None:
    """Five cells each; a slot only where people's own sources are, later only where a platform is not built."""
    assert len(rows) > 60
    for row in rows:
        assert len(row) == 5, row
        line, key, _, state, shown = row
        assert state in STATES, row
        assert shown, row
        if state == "slot":
            assert any(word in line.lower() for word in SLOTS), row
            assert key, row
        if state == "later":
            assert any(word in shown for word in LATER), row


def test_what_is_done_has_a_test_that_is_collected(rows: list[list[str]], collected: set[str]) -> None:
    """A renamed or deleted test leaves no promise behind."""
    named = {row[4] for row in rows if row[3] != "later"}
    assert sorted(named - collected) == []


def test_what_is_done_is_not_skipped(rows: list[list[str]], root: Path) -> None:
    """Nor expected to fail."""
    for file in sorted({row[4].partition("::")[0] for row in rows if row[3] != "later"}):
        assert not re.search(r"mark\.(skip|skipif|xfail)|pytest\.(skip|xfail)\(", (root / file).read_text()), file


def test_the_plan_keys_are_in_the_plan(rows: list[list[str]], root: Path) -> None:
    """The first word of each key stands in plans/phase1.yaml."""
    plan = (root / "plans" / "phase1.yaml").read_text()
    for line, key, *_ in rows:
        for quoted in re.findall(r"`([a-z_]+)", key):
            assert re.search(rf"\b{quoted}\b", plan), (line, quoted)


def test_the_code_is_there(rows: list[list[str]], root: Path) -> None:
    """Every file or folder named as code exists."""
    for line, _, code, *_ in rows:
        for name in re.findall(r"`([^`]+)`", code):
            assert (root / name).exists() or (root / "src" / "canary" / name).exists(), (line, name)
