"""FlyApp passes the suite of every target, against a local Fly with its limits."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from canary.blocks.fly import FlyApp
from canary.plan.kinds import KINDS, Kind
from canary.ports import Release, Target
from canary.testing.fly import CANDIDATE, FlyServer
from canary.testing.target import TargetConformance


@dataclass
class FlyStage:
    """Ten machines as a stage."""

    kind: Kind
    release: Release
    server: FlyServer

    def open(self) -> Target:
        block = FlyApp.from_fields("fly/api", self.server.fields(), self.server.clock)
        return FlyApp.from_fields("fly/api", block.fields(), self.server.clock)

    async def candidate_dies(self) -> None:
        self.server.fates.unhealthy.add(CANDIDATE)

    async def platform_goes(self) -> None:
        self.server.knobs.down = True


class TestFlyApp(TargetConformance):
    """K of N machines."""

    @pytest.fixture
    def stage(self, fly: FlyServer, release: Release) -> FlyStage:
        return FlyStage(KINDS["fly"], release, fly)
