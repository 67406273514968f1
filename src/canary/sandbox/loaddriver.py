"""The supervisor's end of the load generator: tells it who is deployed, reads what it counted."""

from __future__ import annotations

import sys
from pathlib import Path

from canary.sandbox.children import Child, spawn
from canary.sandbox.fleet import Fleet
from canary.sandbox.load.config import LoadConfig, Scene
from canary.sandbox.state import Load


class LoadDriver:
    """One load generator process. `counted` is at most 0.3 s old while it runs."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.counted = Load()

    @classmethod
    async def start(cls, config: LoadConfig, folder: Path) -> LoadDriver:
        argv = [sys.executable, "-m", "canary.sandbox.load.generator"]
        child = await spawn("load", argv, folder, talks=True)
        await child.tell(config.model_dump_json())
        return cls(child)

    async def show(self, fleet: Fleet) -> None:
        """Who is deployed now: whom to send internal testers to, and whose users saw Envoy's own errors."""
        scene = Scene(versions=fleet.versions(), candidate=fleet.candidate())
        await self.child.tell(scene.model_dump_json())

    async def listen(self) -> None:
        """Take its counts as they come. Returns when it has died."""
        assert self.child.process.stdout is not None
        async for line in self.child.process.stdout:
            self.counted = Load.model_validate_json(line)
