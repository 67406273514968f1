"""Ctrl-C in the demo: users come off the candidate before anything is stopped, and nobody is left without a way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from canary.sandbox.control import Sandbox
from canary.sandbox.state import is_running

CANARY = Path(sys.executable).parent / "canary"
SLOW = 150.0
Demo = asyncio.subprocess.Process


@asynccontextmanager
async def demo(home: Path) -> AsyncIterator[Demo]:
    """`canary demo` in its own process, as in a terminal; nothing of it is left."""
    env = os.environ | {"CANARY_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(CANARY, "demo", env=env, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await Sandbox(home).stop()


async def told(process: Demo, words: str) -> str:
    """What it said, up to the line with these words."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = await asyncio.wait_for(process.stderr.readline(), SLOW)
        assert line, f"it ended without saying {words!r}:\n{said}"
        said += line.decode()
    return said


async def test_ctrl_c_waits_until_nobody_is_on_the_candidate(tmp_path: Path) -> None:
    """The first Ctrl-C in mid-canary is an abort: exposure 0 verified, exit 3, and only then the sandbox stops."""
    async with demo(tmp_path) as process:
        await told(process, "every target shows exposure 10%")
        assert is_running(tmp_path)
        process.send_signal(signal.SIGINT)
        await told(process, "every target shows exposure 0%")
        assert await asyncio.wait_for(process.wait(), SLOW) == 3
        assert not is_running(tmp_path)


async def test_a_second_ctrl_c_leaves_with_the_commands_to_type(tmp_path: Path) -> None:
    """It ends at once, says what to do by hand, and what it says can be done: the router still stands."""
    async with demo(tmp_path) as process:
        started = await told(process, "candidate is ready")
        process.send_signal(signal.SIGINT)
        await told(process, "aborting")
        process.send_signal(signal.SIGINT)
        said = await told(process, "sandbox down")
        assert await asyncio.wait_for(process.wait(), SLOW) == 1
        rollout = re.search(r"demo-[0-9a-f]{8}", started)
        assert rollout
        assert f"canary rollback {rollout[0]}" in said
        assert is_running(tmp_path)
        env = os.environ | {"CANARY_HOME": str(tmp_path)}
        back = await asyncio.create_subprocess_exec(CANARY, "rollback", rollout[0], "--reason", "left", env=env)
        assert await asyncio.wait_for(back.wait(), SLOW) == 3
        down = await asyncio.create_subprocess_exec(CANARY, "sandbox", "down", env=env)
        assert await asyncio.wait_for(down.wait(), SLOW) == 0
        assert not is_running(tmp_path)
