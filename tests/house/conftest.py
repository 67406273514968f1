"""The checkout as the house tests see it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "flows", "tasks", "blocks", "plans", "deployments", "tests", "bench")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file that is committed or about to be, relative to the checkout; links and binaries left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted({Path(name) for name in listing.stdout.split("\0") if name})
    return [name for name in names if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


@pytest.fixture(scope="session")
def texts(files: list[Path]) -> dict[Path, str]:
    """Of these, the readable ones with their text."""
    found = {}
    for name in files:
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found[name] = data.decode()
    return found


@pytest.fixture(scope="session")
def code(texts: dict[Path, str]) -> dict[Path, str]:
    """Of these, the Python files."""
    return {name: text for name, text in texts.items() if name.suffix == ".py" and name.parts[0] in CODE}
