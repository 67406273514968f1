"""The conditions every test runs under: coverage's reach, and what tests/conftest.py promises."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def test_coverage_reports_the_linked_folders(root: Path, tmp_path: Path) -> None:
    """`source_pkgs` follows the links: a file of flows/ is in the report, whichever its path there."""
    script, data = tmp_path / "imports.py", f"--data-file={tmp_path / 'coverage.db'}"
    script.write_text("import canary.flows, canary.blocks\n")
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "run", data, script], cwd=root, check=True, capture_output=True)
    subprocess.run([*coverage, "json", data, "-o", tmp_path / "out.json"], cwd=root, check=True, capture_output=True)
    report = json.loads((tmp_path / "out.json").read_text())
    seen = {(root / name).resolve() for name in report["files"]}
    assert {root / "flows" / "__init__.py", root / "blocks" / "__init__.py"} <= seen


@pytest.fixture
def skipping(root: Path, tmp_path: Path) -> Path:
    """A folder with the real conftest and one test that needs a program nobody has."""
    shutil.copy(root / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_needs.py").write_text(
        "def test_needs(require, monkeypatch):\n"
        "    'Needs it.'\n"
        "    monkeypatch.setattr('shutil.which', lambda *a, **k: None)\n"
        "    require('initdb')\n"
    )
    return tmp_path


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 failed")])
def test_a_missing_program_skips_and_in_ci_fails(skipping: Path, required: str, outcome: str) -> None:
    """Either way the reason names the Debian package."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", f"--rootdir={skipping}", skipping],
        cwd=skipping,
        env=os.environ | {"REQUIRE_SERVICES": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout.splitlines()[-1]
    assert "initdb is missing: apt install postgresql" in ran.stdout


def test_a_program_that_is_there_is_found(require: Callable[[str], Path]) -> None:
    """`require` answers with a path that can be run."""
    assert os.access(require("chromium"), os.X_OK)


def test_a_test_cannot_reach_another_machine() -> None:
    """A connection beyond loopback fails the test itself, whatever the code under test catches."""
    with socket.socket() as outward, pytest.raises(pytest.fail.Exception, match="only loopback"):
        outward.connect(("192.0.2.1", 9))


def test_a_test_resolves_no_name_but_localhost() -> None:
    """A look-up answers at once, without a name server."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("canary.invalid", 80)
    assert socket.getaddrinfo("localhost", 80)


def test_every_test_has_one_run_in_make_test(root: Path, parts: dict[str, tuple[str, ...]]) -> None:
    """What a mark takes out of the large run is named by path in another."""
    makefile = (root / "Makefile").read_text()
    text = makefile.replace("\\\n", " ")
    demos, long, alone = (re.search(rf"^{name} := (.*)$", text, re.MULTILINE) for name in ("DEMOS", "LONG", "ALONE"))
    assert demos
    assert long
    assert alone
    named = {"prefect": ("tests/prefect/",), "demo": demos[1].split(), "long": long[1].split()}
    named["alone"] = alone[1].split()
    assert {part: [place.rstrip("/") for place in places] for part, places in parts.items()} == {
        part: [place.rstrip("/") for place in places] for part, places in named.items()
    }
    large = re.search(r'pytest -m "(.*)"', makefile)
    assert large
    assert large[1] == " and ".join(f"not {part}" for part in ("prefect", "demo", "long", "alone"))
