"""Local servers that speak the wire of the platforms, and can be told to misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]

ADMIN_TOKEN = "admin-t0ken-of-envoy"
INTERNAL_TOKEN = "internal-t0ken"
FLAGS_TOKEN = "flags-t0ken"


@asynccontextmanager
async def _served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(handler)` → the address of a server on loopback that gives every request to the handler."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            return await stack.enter_async_context(_served(handler))

        yield start


@pytest.fixture
def closed_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class FakeEnvoy:
    """Envoy's admin API and its routes, with docflow behind them; state is as in the real ones.

    Knobs: `misbehave` answers every request in place of all else; `silent` colours do not answer inside; the next
    `busy` requests from inside are refused.
    """

    url: str = ""
    runtime: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=lambda: {"blue": "2.0.9"})
    unhealthy: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=lambda: {"api_blue": 90, "api_green": 10})
    stats_down: bool = False
    busy: int = 0
    log: list[str] = field(default_factory=list)
    misbehave: Callable[[], Awaitable[web.Response]] | None = None

    def fields(self) -> dict[str, Any]:
        """Plain values of an EnvoyRoute that reaches it."""
        return {
            "router_url": self.url,
            "admin_url": f"{self.url}/admin",
            "admin_token": ADMIN_TOKEN,
            "runtime_prefix": "routing.api",
            "clusters": {"blue": "api_blue", "green": "api_green"},
            "internal_token": INTERNAL_TOKEN,
            "deploy_url": f"{self.url}/admin/deploy",
        }

    def weights(self) -> dict[str, str]:
        """What was set, by cluster."""
        return {key.removeprefix("routing.api."): value for key, value in self.runtime.items()}

    async def handle(self, request: web.Request) -> web.Response:
        """Any request."""
        self.log.append(f"{request.method} {request.path}")
        if self.misbehave is not None:
            return await self.misbehave()
        if not request.path.startswith("/admin"):
            return self._inside(request)
        if request.headers.get("Authorization") != f"Bearer {ADMIN_TOKEN}":
            return web.json_response({"error": f"bad token {request.headers.get('Authorization')}"}, status=401)
        return await self._admin(request)

    def _inside(self, request: web.Request) -> web.Response:
        colour = request.headers.get("x-canary-cluster", "")
        if request.headers.get("x-canary-internal") != INTERNAL_TOKEN or colour not in self.versions:
            return web.Response(status=503, text="no healthy upstream")
        if self.busy > 0:
            self.busy -= 1
            return web.Response(status=503, text="overloaded")
        if request.path == "/healthz":
            return web.Response(status=503 if colour in self.unhealthy else 200)
        return web.json_response({"version": self.versions[colour]})

    async def _admin(self, request: web.Request) -> web.Response:
        match request.path.removeprefix("/admin"):
            case "/runtime":
                entries = {k: {"layer_values": [v], "final_value": v} for k, v in self.runtime.items()}
                return web.json_response({"layers": ["admin"], "entries": entries})
            case "/runtime_modify":
                self.runtime.update(request.query)
                return web.Response(text="OK\n")
            case "/stats":
                if self.stats_down:
                    return web.Response(status=500, text="stats are away")
                lines = [{"name": f"cluster.{c}.upstream_rq_total", "value": n} for c, n in self.requests.items()]
                return web.json_response({"stats": [*lines, {"histograms": {}}]})
            case "/deploy":
                wanted = json.loads(await request.text())
                self.versions[wanted["colour"]] = wanted["version"]
                return web.json_response({}, status=202)
        return web.Response(status=404)


@pytest.fixture
async def envoy(serve: Serve) -> FakeEnvoy:
    """A fake Envoy that runs 2.0.9 on blue, nothing on green, and has no weight set."""
    fake = FakeEnvoy()
    fake.url = await serve(fake.handle)
    return fake


@dataclass
class FakeFlags:
    """The flag service."""

    url: str = ""
    flags: dict[str, Any] = field(
        default_factory=lambda: {"phase1_enabled": False, "NEXT_PUBLIC_ENABLE_FORECAST": True}
    )
    misbehave: Callable[[], Awaitable[web.Response]] | None = None
    log: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Plain values of a FlagService that reaches it."""
        return {"url": self.url, "token": FLAGS_TOKEN}

    async def handle(self, request: web.Request) -> web.Response:
        """Any request."""
        self.log.append(f"{request.method} {request.path}")
        if self.misbehave is not None:
            return await self.misbehave()
        if request.headers.get("Authorization") != f"Bearer {FLAGS_TOKEN}":
            return web.json_response({"error": "unauthorised"}, status=401)
        if request.method == "PATCH":
            wanted = await request.json()
            if unknown := [name for name in wanted if name not in self.flags]:
                return web.json_response({"error": f"unknown flag {unknown[0]}"}, status=404)
            self.flags.update(wanted)
        return web.json_response(self.flags)


@pytest.fixture
async def flags(serve: Serve) -> FakeFlags:
    """A flag service with phase1_enabled off."""
    fake = FakeFlags()
    fake.url = await serve(fake.handle)
    return fake


async def hang() -> web.Response:
    """No answer for longer than any deadline."""
    await asyncio.sleep(60)
    return web.Response()


async def cut() -> web.Response:
    """The connection breaks in the middle of an answer."""
    raise ConnectionResetError


def says(status: int, text: str) -> Callable[[], Awaitable[web.Response]]:
    """That status and text, whatever was asked."""

    async def answer() -> web.Response:
        return web.Response(status=status, text=text)

    return answer


@dataclass(frozen=True)
class Misbehaviour:
    """Ways in which a server can answer wrongly."""

    hang = staticmethod(hang)
    cut = staticmethod(cut)
    says = staticmethod(says)


@pytest.fixture
def misbehaviour() -> Misbehaviour:
    """Ways in which a server can answer wrongly."""
    return Misbehaviour()
