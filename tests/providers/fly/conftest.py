"""A local Fly with ten machines in three regions; whatever was asked of it is held against the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from canary.blocks.fly import FlyApp
from canary.ports import Release
from canary.testing.clock import FakeClock
from canary.testing.fly import APP, CANDIDATE, STABLE, FlyServer
from canary.testing.provider import Asked, serving

REGIONS = ("ams", "ams", "ams", "ams", "fra", "fra", "fra", "iad", "iad", "iad")
Make = Callable[..., FlyApp]


@pytest.fixture
async def fly(hold: Callable[[str, Iterable[Asked], str], None]) -> AsyncIterator[FlyServer]:
    """Ten machines that run stable, in virtual time."""
    server = FlyServer(FakeClock())
    for region in REGIONS:
        server.add(region)
    async with serving(server):
        yield server
    # A test may break what it asks on purpose: other apps and tokens are not the block's requests.
    hold("fly", [asked for asked in server.log if asked.path.startswith(f"/v1/apps/{APP}/")], "/v1")


@pytest.fixture
def release(fly: FlyServer) -> Release:
    """As a rollout knows it: the plan's reference, and what was observed."""
    return Release(CANDIDATE, f"{STABLE}@{fly.images[STABLE]}")


@pytest.fixture
async def make(fly: FlyServer) -> AsyncIterator[Make]:
    """`make(field=…)`: a block that reaches it, closed at the end."""
    made: list[FlyApp] = []

    def block(**fields: Any) -> FlyApp:
        made.append(FlyApp.from_fields("fly/api", {**fly.fields(), **fields}, fly.clock))
        return made[-1]

    yield block
    for one in made:
        await one.close()
