"""A real sandbox for the whole session, without users of its own, and hands to move it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from canary.sandbox.control import Sandbox
from canary.sandbox.wire import INITIAL_FLAGS, TOTAL_WEIGHT, Colour

CANDIDATE = "2.1.0"


@dataclass(frozen=True)
class World:
    """The sandbox, and a client that speaks to its parts."""

    sandbox: Sandbox
    http: httpx.AsyncClient

    @property
    def router(self) -> str:
        return self.sandbox.state.router_url

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.sandbox.state.admin_token}"}

    @property
    def flags(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.sandbox.state.flags_token}"}

    @property
    def signed_in(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.sandbox.state.docflow_token}"}

    def internal(self, colour: str = "green") -> dict[str, str]:
        return {"x-canary-internal": self.sandbox.state.internal_token, "x-canary-cluster": colour}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.get(f"{self.router}{path}", headers=named)

    async def weigh(self, green: int, *layers: str) -> None:
        """Send `green` of 10000 to green, in the layers named or in both."""
        keys = {
            f"routing.{layer}.{layer}_{colour}": str(weight)
            for layer in layers or ("api", "web")
            for colour, weight in (("blue", TOTAL_WEIGHT - green), ("green", green))
        }
        url = f"{self.sandbox.state.admin_url}/runtime_modify"
        assert (await self.http.post(url, params=keys, headers=self.admin)).text.strip() == "OK"

    async def patch(self, **flags: bool) -> None:
        url = f"{self.sandbox.state.flags_url}/flags"
        assert (await self.http.patch(url, json=flags, headers=self.flags)).status_code == 200

    async def deploy(self, version: str, colour: str = "green") -> int:
        """The status of the answer, once the version serves."""
        body = {"colour": colour, "version": version}
        answer = await self.http.post(self.sandbox.state.deploy_url, json=body, headers=self.admin)
        if answer.status_code in (200, 202):
            await self.until(lambda: self.runs(version, colour))
        return answer.status_code

    async def runs(self, version: str, colour: str) -> bool:
        answer = await self.http.get(f"{self.router}/version", headers=self.internal(colour))
        return answer.status_code == 200 and answer.json() == {"version": version}

    async def samples(self, colour: Colour = "green") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        text = (await self.http.get(self.sandbox.state.metrics_urls[colour])).text
        families = text_string_to_metric_families(text)
        return {(s.name, frozenset(s.labels.items())): s.value for each in families for s in each.samples}

    async def total(self, name: str, colour: Colour = "green", **labels: str) -> float:
        wanted = set(labels.items())
        samples = await self.samples(colour)
        return sum(value for (n, found), value in samples.items() if n == name and wanted <= found)

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> float:
        """Poll until it holds; how many seconds that took. Fails at the deadline."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not await holds():
            if loop.time() - start > seconds:
                pytest.fail(f"did not come true within {seconds} s")
            await asyncio.sleep(0.02)
        return loop.time() - start

    async def routed(self, cluster: str) -> int:
        """How many requests Envoy has sent to one cluster."""
        query = {"filter": f"^cluster\\.{cluster}\\.upstream_rq_total$"}
        url = f"{self.sandbox.state.admin_url}/stats"
        answer = await self.http.get(url, params=query, headers=self.admin)
        return int(re.findall(r": (\d+)", answer.text)[0])


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """No ordinary users: what a test counts is what it sent (and the few internal testers)."""
    running = asyncio.run(Sandbox.start(tmp_path_factory.mktemp("quiet"), rps=0))
    yield running
    asyncio.run(running.stop())


@pytest.fixture
async def world(sandbox: Sandbox) -> AsyncIterator[World]:
    """As at the start, with the candidate deployed on green and nobody on it."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        here = World(sandbox, http)
        await here.weigh(0)
        await here.patch(**INITIAL_FLAGS)
        await sandbox.fault("none")
        await here.deploy(CANDIDATE)
        yield here


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which a test may start a sandbox of its own; none is left there."""
    yield tmp_path
    asyncio.run(Sandbox(tmp_path).stop())
