"""The supervisor's end of the platforms: begins their process early, since it takes seconds, and tells it later."""

from __future__ import annotations

import sys
from pathlib import Path

from canary.errors import CanaryError
from canary.sandbox.children import Child, spawn
from canary.sandbox.platforms.wire import Platforms, PlatformsConfig

NAME = "platforms"


async def begin(folder: Path) -> Child:
    """Nothing serves before `told`. Prefect, which comes with the blocks, is kept from the user's own profile."""
    argv = [sys.executable, "-m", "canary.sandbox.platforms.server"]
    env = {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
    return await spawn(NAME, argv, folder, talks=True, env=env)


async def told(child: Child, config: PlatformsConfig) -> Platforms:
    """Once they serve. Raises CanaryError when the process ended instead."""
    await child.tell(config.model_dump_json())
    assert child.process.stdout is not None
    line = await child.process.stdout.readline()
    if not line:
        raise CanaryError("the platforms did not start", "see platforms.log in the sandbox's folder")
    return Platforms.model_validate_json(line)
