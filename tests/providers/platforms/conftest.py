"""The demo's platforms in virtual time, before a sandbox that writes down how it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from canary.sandbox.envoy import CLUSTER_HEADER, INTERNAL_HEADER
from canary.sandbox.platforms.street import Street
from canary.sandbox.platforms.town import CANDIDATE, Town, image
from canary.sandbox.platforms.wire import PlatformsConfig
from canary.testing.clock import FakeClock
from canary.testing.fly_machines import FakeMachine
from canary.testing.provider import serving
from canary.testing.slack import slack_server

TOKENS = {"admin_token": "t0ken-admin", "flags_token": "t0ken-flags", "internal_token": "t0ken-internal"}


@dataclass
class Moved:
    """In the place of the sandbox. down: what would move it gets 502; well: whether the candidate answers."""

    url: str = ""
    weights: list[dict[str, str]] = field(default_factory=list)
    flags: list[dict[str, bool]] = field(default_factory=list)
    deployed: list[dict[str, str]] = field(default_factory=list)
    visits: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    down: bool = False
    well: bool = False

    def app(self) -> web.Application:
        app = web.Application()
        routes = [
            web.post("/admin/runtime_modify", self._weights),
            web.post("/admin/deploy", self._deploy),
            web.patch("/flags", self._flags),
            web.get("/healthz", self._health),
            web.get("/metrics/{colour}", self._metrics),
            web.route("*", "/{path:.*}", self._visit),
        ]
        app.add_routes(routes)
        return app

    def config(self) -> PlatformsConfig:
        """As a sandbox there would be told of."""
        return PlatformsConfig(
            router_url=self.url,
            admin_url=f"{self.url}/admin",
            deploy_url=f"{self.url}/admin/deploy",
            flags_url=self.url,
            metrics_urls={"blue": f"{self.url}/metrics/blue", "green": f"{self.url}/metrics/green"},
            **TOKENS,
        )

    async def _weights(self, request: web.Request) -> web.Response:
        return self._kept(request, "admin_token", self.weights, dict(request.query))

    async def _deploy(self, request: web.Request) -> web.Response:
        return self._kept(request, "admin_token", self.deployed, await request.json())

    async def _flags(self, request: web.Request) -> web.Response:
        return self._kept(request, "flags_token", self.flags, await request.json())

    def _kept(self, request: web.Request, token: str, kept: list, said: dict) -> web.Response:  # type: ignore[type-arg]
        assert request.headers["Authorization"] == f"Bearer {TOKENS[token]}"
        if self.down:
            return web.Response(status=502)
        kept.append(said)
        return web.json_response({})

    async def _health(self, request: web.Request) -> web.Response:
        assert request.headers[INTERNAL_HEADER] == TOKENS["internal_token"]
        return web.Response(status=200 if self.well and request.headers[CLUSTER_HEADER] == "green" else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        if request.match_info["colour"] == "green":
            return web.Response(status=503, text="the fault `telemetry` is on")
        return web.Response(text='# TYPE hits counter\nhits_total{version="2.0.9"} 7\n')

    async def _visit(self, request: web.Request) -> web.Response:
        self.visits.append(request)
        self.bodies.append(await request.read())
        answer = web.Response(status=207, text="seen", headers={"x-said": "yes"})
        answer.set_cookie("docflow-user", "somebody")
        answer.set_cookie("second", "too")
        return answer


@pytest.fixture
async def moved() -> AsyncIterator[Moved]:
    sandbox = Moved()
    runner = web.AppRunner(sandbox.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sandbox.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield sandbox
    await runner.cleanup()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """All five serve, and every machine has been up for a minute."""
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        built = Town(await stack.enter_async_context(slack_server()), clock)
        for provider in built.providers().values():
            provider.knobs.slow_seconds = 0.0
            await stack.enter_async_context(serving(provider))
        built.slack.slow(0.0)
        clock.stand_still(60.0)
        yield built


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def street(moved: Moved, http: aiohttp.ClientSession) -> Street:
    return Street(moved.config(), http)


@pytest.fixture
def launch(town: Town) -> Callable[[], FakeMachine]:
    """`launch()`: somebody gives the first machine the candidate; its start takes a second."""

    def one() -> FakeMachine:
        machine = next(iter(town.fly.machines.values()))
        town.fly.change(machine, image(CANDIDATE))
        return machine

    return one
