"""A Vercel and a Global Config on loopback; whatever a block asked of them is held against the API's descriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from canary.blocks.global_config import GlobalConfig
from canary.blocks.vercel import VercelProject
from canary.testing.fakes import FakeClock
from canary.testing.global_config import GlobalConfigs
from canary.testing.provider import Asked, serving
from canary.testing.vercel import Vercel

Hold = Callable[[str, Iterable[Asked]], None]


@pytest.fixture
async def vercel(hold: Hold) -> AsyncIterator[Vercel]:
    """One project, dpl_stable in production and dpl_candidate staged, stages at 10, 50 and 100 %."""
    server = Vercel()
    async with serving(server):
        yield server
    hold("vercel", server.log)


@pytest.fixture
async def configs(hold: Hold) -> AsyncIterator[GlobalConfigs]:
    """A Global Config with phase1_enabled off."""
    server = GlobalConfigs()
    async with serving(server):
        yield server
    hold("vercel", server.log)


@pytest.fixture
async def block(vercel: Vercel) -> AsyncIterator[Callable[..., VercelProject]]:
    """`block(**changed)`: a VercelProject on that Vercel, with other fields than usual where they are given."""
    made: list[VercelProject] = []

    def make(**changed: Any) -> VercelProject:
        made.append(VercelProject.from_fields("vercel/docflow", {**vercel.fields(), **changed}, FakeClock()))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def config(configs: GlobalConfigs) -> AsyncIterator[Callable[..., GlobalConfig]]:
    """`config(**changed)`: a GlobalConfig on that server."""
    made: list[GlobalConfig] = []

    def make(**changed: Any) -> GlobalConfig:
        fields = {**configs.fields(), **changed}
        made.append(GlobalConfig.from_fields("global-config/docflow", fields, FakeClock()))
        return made[-1]

    yield make
    for each in made:
        await each.close()
