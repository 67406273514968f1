"""A local Grafana whose every request is held against its descriptions, and blocks that reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from canary.blocks.grafana import GrafanaServer
from canary.plan.load import load_plan
from canary.plan.model import Plan
from canary.testing.fakes import FakeClock
from canary.testing.grafana import Grafana
from canary.testing.provider import Asked, serving

EDITOR = "glsa_s3cret-of-an-editor"
VIEWER = "glsa_s3cret-of-a-viewer"
Hold = Callable[[str, Iterable[Asked], str], None]
Open = Callable[..., GrafanaServer]


@pytest.fixture
def tokens() -> dict[str, str]:
    """Role → token."""
    return {"Editor": EDITOR, "Viewer": VIEWER}


@pytest.fixture
async def grafana(hold: Hold) -> AsyncIterator[Grafana]:
    """A Grafana of an editor and a viewer; whatever it was asked is held against its descriptions at the end."""
    fake = Grafana(tokens={EDITOR: "Editor", VIEWER: "Viewer"})
    async with serving(fake):
        yield fake
    hold("grafana", fake.log, "/api")


@pytest.fixture
async def opened(grafana: Grafana) -> AsyncIterator[Open]:
    """`opened(reads="query")` → a block with these fields that reaches the Grafana, closed at the end."""
    made: list[GrafanaServer] = []

    def make(**changed: Any) -> GrafanaServer:
        fields = {"url": grafana.url, "token": EDITOR, "datasource": "prom", **changed}
        made.append(GrafanaServer.from_fields("grafana/docflow", fields, FakeClock()))
        return made[-1]

    yield make
    for block in made:
        await block.close()


@pytest.fixture
def block(opened: Open) -> GrafanaServer:
    """The block of an editor."""
    return opened()


@pytest.fixture(scope="session")
def plan() -> Plan:
    """The runbook's."""
    return load_plan(Path(__file__).parents[3] / "plans" / "phase1.yaml").plan
