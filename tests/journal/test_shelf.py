"""Documents on disk: whole, private, and replaced in place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from canary.journal.shelf import FolderShelf


def put(folder: Path, rollout: str, name: str, text: str) -> str:
    """Where it stands."""
    return asyncio.run(FolderShelf(folder).put(rollout, name, text))


def test_a_document_stands_where_it_is_said_to(tmp_path: Path) -> None:
    """Below the rollout's folder, readable by this user alone, and nothing else beside it."""
    where = Path(put(tmp_path / "rollouts", "r1", "audit.json", "{}\n"))
    assert where.read_text() == "{}\n"
    assert [file.name for file in where.parent.iterdir()] == ["audit.json"]
    assert where.parent.stat().st_mode & 0o077 == 0


def test_a_document_written_again_replaces_the_former(tmp_path: Path) -> None:
    """Idempotent, as every verb of a port."""
    assert put(tmp_path, "r1", "lessons.md", "one") == put(tmp_path, "r1", "lessons.md", "two")
    assert (tmp_path / "r1" / "lessons.md").read_text() == "two"


def test_a_rollouts_name_is_no_way_out_of_the_folder(tmp_path: Path) -> None:
    """Slashes and dots in an id stay within."""
    where = put(tmp_path / "rollouts", "../../etc/r1", "audit.json", "x")
    assert Path(where).resolve().is_relative_to(tmp_path / "rollouts")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """OSError, for the step of the closing to tell."""
    (tmp_path / "rollouts").write_text("a file is in the way")
    with pytest.raises(OSError, match="rollouts"):
        put(tmp_path / "rollouts", "r1", "audit.json", "x")
