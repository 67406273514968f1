"""The lock: what `make setup` installs, on every machine the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@pytest.fixture(scope="session")
def locked(root: Path) -> dict[str, Version]:
    """Package → the version locked."""
    lock = (root / "requirements.lock").read_text()
    found = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!]+)", lock, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


def wanted(root: Path) -> list[Requirement]:
    """Every requirement of pyproject: the build's, the program's, its extras', the developers'."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return [Requirement(line) for requirements in lists for line in requirements]


def test_the_lock_answers_pyproject(root: Path, locked: dict[str, Version]) -> None:
    """Every requirement is locked, to a version it allows. When this fails: make lock."""
    stale = [
        str(need)
        for need in wanted(root)
        if (version := locked.get(canonicalize_name(need.name))) is None
        or not need.specifier.contains(version, prereleases=True)
    ]
    assert stale == []


def test_every_locked_package_has_a_hash_and_comes_from_nowhere_in_particular(root: Path) -> None:
    """Pins with hashes only: no address, no option, no path."""
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [number for number, line in enumerate(lines) if re.match(r"[\w.-]+(\[[\w,-]+\])?==", line)]
    assert len(pins) > 50
    assert all(lines[number + 1].startswith("    --hash=sha256:") for number in pins)
    allowed = re.compile(r"#|    --hash=sha256:[0-9a-f]{64}( \\)?$|    # |[\w.-]+(\[[\w,-]+\])?==\S+( ; .+)? \\$")
    assert [line for line in lines if not allowed.match(line)] == []
    assert "://" not in "\n".join(lines)
