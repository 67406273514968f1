"""A real sandbox behind local platforms: its users go where the plan's own blocks send them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from canary.blocks.registry import open_block
from canary.errors import ProviderUnavailable
from canary.plan.model import Arms, Signal
from canary.ports import Release
from canary.sandbox.control import Sandbox
from canary.sandbox.launch import end
from canary.sandbox.platforms.town import CANDIDATE, image
from canary.sandbox.state import is_running

ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
SIGNALS = {"requests": Signal(counter="http_requests_total")}


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Poll until it holds. Fails at the deadline."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process changes: no event tells it
            await asyncio.sleep(0.05)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    running = await Sandbox.start(tmp_path, rps=50, platforms=True)
    yield running
    await running.stop()


async def moved(sandbox: Sandbox, target: Any, release: Release, share: float) -> None:
    """As a conductor does: asked until it is shown."""

    async def shown() -> bool:
        await target.expose(release, share, 1)
        return (await target.verify(release, share)).answer == "yes"

    await until(shown, 60.0)


async def test_users_go_where_fly_and_vercel_show(sandbox: Sandbox) -> None:
    """Staged behind its private address, then 10 % of the api and of the web, and back to none."""
    fields = sandbox.block_fields()
    api, web = (open_block(ref, fields[ref]) for ref in ("fly/docflow-api", "vercel/docflow"))
    stable = (await api.observe()).serving()  # type: ignore[attr-defined]
    to_api, to_web = Release(image(CANDIDATE), stable), Release(CANDIDATE, "dpl_stable")
    access = await api.prepare(to_api)  # type: ignore[attr-defined]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{access.url}/version")).json() == {"version": "2.1.0"}
    assert (await sandbox.status()).weights["api"] == {"blue": 10_000, "green": 0}
    for share in (0.1, 0.0):
        await moved(sandbox, api, to_api, share)
        await moved(sandbox, web, to_web, share)

        async def follows(green: int = round(share * 10_000)) -> bool:
            weights = (await sandbox.status()).weights
            return all(layer == {"blue": 10_000 - green, "green": green} for layer in weights.values())

        await until(follows)
    for target in (api, web):
        await target.close()  # type: ignore[attr-defined]
    requests = (await sandbox.platforms())["Vercel"].requests
    assert requests["POST /v1/projects/{project}/rolling-release/start"] == 1


async def test_what_users_do_is_read_through_grafana(sandbox: Sandbox) -> None:
    """Increments of real requests, seconds after they were made."""
    grafana = open_block("grafana/docflow", sandbox.block_fields()["grafana/docflow"])

    async def counted() -> bool:
        scrapes = await grafana.read(SIGNALS, ARMS, 0.0, 4e9)  # type: ignore[attr-defined]
        return sum(scrape.signals["requests"]["baseline"].total for scrape in scrapes) > 20

    await until(counted)
    await grafana.close()  # type: ignore[attr-defined]


async def test_the_flags_of_the_global_config_are_docflow_s(sandbox: Sandbox) -> None:
    """On in the document that it reads, and off again."""
    flags = open_block("global-config/docflow", sandbox.block_fields()["global-config/docflow"])
    release = Release('{"phase1_enabled":true}', '{"phase1_enabled":false}')
    for share in (1.0, 0.0):
        await flags.expose(release, share, 1)  # type: ignore[attr-defined]

        async def follows(on: bool = share > 0) -> bool:
            return (await sandbox.status()).flags["phase1_enabled"] is on

        await until(follows)
    await flags.close()  # type: ignore[attr-defined]


async def test_it_ends_with_its_platforms(sandbox: Sandbox) -> None:
    """While they hang it is said that they do not answer; once they are dead where they stood is lost for good."""
    supervisor, platforms = (sandbox.state.pids[name] for name in ("supervisor", "platforms"))
    os.kill(platforms, signal.SIGSTOP)
    with pytest.raises(ProviderUnavailable, match="the platforms did not answer"):
        await sandbox.platforms()
    os.kill(platforms, signal.SIGKILL)

    async def gone() -> bool:
        return not is_running(sandbox.home)

    await until(gone)
    assert "platforms died" in (sandbox.home / "sandbox" / "supervisor.log").read_text()
    await end(sandbox.home, supervisor)
