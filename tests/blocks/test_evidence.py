"""The fake and the folder pass the evidence suite; a command sees no secret, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from canary.blocks.evidence import Folder
from canary.ports import EvidenceRoom, Found
from canary.testing.evidence import CONTENT, SECRET, SHA256, EvidenceConformance
from canary.testing.fakes import FakeEvidence


def python(code: str) -> tuple[str, ...]:
    """A command that runs the code."""
    return (sys.executable, "-c", code)


@dataclass
class Stage:
    """Commands, and how a room is made."""

    room: EvidenceRoom
    good: tuple[str, ...] = python(f"print({CONTENT.decode().strip()!r})")
    bad: tuple[str, ...] = python(f"print({SECRET!r}); exit(3)")
    endless: tuple[str, ...] = ("sleep", "3600")

    def open(self) -> EvidenceRoom:
        return self.room


class TestFakeEvidence(EvidenceConformance):
    """The fake."""

    @pytest.fixture
    def stage(self) -> Stage:
        fake = FakeEvidence({"docs/fine.md": Found(True, "file docs/fine.md", SHA256)})
        stage = Stage(fake)
        fake.found[" ".join(stage.good)] = Found(True, "ended with exit status 0", SHA256)
        fake.found[" ".join(stage.bad)] = Found(False, "python ended with exit status 3", "")
        fake.found[" ".join(stage.endless)] = Found(False, "sleep did not end within 0.5 s and was killed")
        return stage


class TestFolder(EvidenceConformance):
    """The adapter."""

    @pytest.fixture
    def stage(self, folder: Path) -> Stage:
        return Stage(Folder(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one file."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "fine.md").write_bytes(CONTENT)
    return tmp_path


def piped(folder: Path) -> None:
    """A pipe, which would never end."""
    os.mkfifo(folder / "docs" / "x")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: (folder / "docs" / "x").touch(), "file docs/x is empty"),
        (lambda folder: (folder / "docs" / "x").mkdir(), "there is no file docs/x"),
        (piped, "there is no file docs/x"),
        (lambda folder: (folder / "docs" / "x").symlink_to("/etc/passwd"), "file docs/x leads out of the folder"),
        (lambda folder: (folder / "docs" / "x").symlink_to("x"), "file docs/x"),
    ],
)
async def test_what_is_no_good_file_is_no_evidence(folder: Path, make: object, said: str) -> None:
    """Each for its own reason, and without a hash."""
    assert callable(make)
    make(folder)
    found = await Folder(folder).file("docs/x")
    assert (found.fulfilled, found.sha256) == (False, "")
    assert said in found.detail


async def test_a_command_runs_in_the_folder_with_nothing_to_read(folder: Path) -> None:
    """Relative paths are the folder's; who asks for input gets its end."""
    code = "import sys; sys.exit(bool(sys.stdin.read()) or not open('docs/fine.md').read())"
    assert (await Folder(folder).command(python(code), 20.0)).fulfilled


async def test_a_command_sees_no_secret_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ours nor Prefect's nor what looks like one."""
    for name in ("CANARY_VAULT_KEY", "PREFECT_API_AUTH_STRING", "VERCEL_TOKEN", "PGPASSWORD"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("HARMLESS", "yes")
    code = f"import os; exit(os.environ['HARMLESS'] != 'yes' or {SECRET!r} in os.environ.values())"
    assert (await Folder(folder).command(python(code), 20.0)).fulfilled


@pytest.mark.parametrize("lasts", ["wait", "exit 0"])
async def test_what_a_command_started_ends_with_it(folder: Path, lasts: str) -> None:
    """Killed at its time, or gone by itself: nothing of its group is left, and its output is not waited for."""
    script = f"sleep 3600 & echo $! > child; {lasts}"
    found = await Folder(folder).command(("sh", "-c", script), 1.0)
    assert found.fulfilled is (lasts == "exit 0")
    child = int((folder / "child").read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the command's child still runs")


async def test_a_command_that_prints_without_end_is_killed_at_its_time(folder: Path) -> None:
    """What it prints is hashed as it comes, and fills nothing."""
    found = await Folder(folder).command(("yes",), 0.5)
    assert "did not end within 0.5 s" in found.detail


async def test_a_command_that_is_given_up_is_killed(folder: Path) -> None:
    """Whoever stops to wait leaves no process."""
    running = asyncio.create_task(Folder(folder).command(("sleep", "3599"), 60.0))
    sleeping: list[psutil.Process] = []
    for _ in range(250):
        sleeping = [each for each in psutil.Process().children() if each.name() == "sleep"]
        if sleeping:
            break
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    _, alive = psutil.wait_procs(sleeping, timeout=5)
    assert sleeping
    assert alive == []


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """For a file and for a command."""
    room = Folder(tmp_path / "none")
    assert "there is no file a in" in (await room.file("a")).detail
    assert "there is no folder" in (await room.command(("true",), 5.0)).detail
