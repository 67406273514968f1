"""Envoy's admin API as the conductors reach it: every change is written down, and one can be held up at its boundary.

A change that is held `before` has left the conductor and not reached Envoy; one that is held `after` has reached Envoy,
and its answer has not reached the conductor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bench.chaos.real.server import Colour

LONGEST_HOLD = 4.0
"""Seconds: below the provider's time-out of 6 s, so that a hold by itself is no fault."""
LAYERS = ("api", "web")
Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Hold:
    """A change of this direction is to stop on this side of Envoy, until it is released."""

    direction: str
    side: str
    released: asyncio.Event = field(default_factory=asyncio.Event)
    forward: bool = True


@dataclass
class Route:
    """One service: its colours, which of them was deployed last, and what is to be held up."""

    colours: Mapping[str, Colour]
    candidate: str = ""
    hold: Hold | None = None


class Proxy:
    """`/<service>/…` of Envoy's admin API, `/<service>/deploy`, and for the harness `/<service>/hold` and `release`."""

    def __init__(self, envoy: str, routes: Mapping[str, Route], tell: Tell, http: aiohttp.ClientSession) -> None:
        self._envoy, self._routes, self._tell, self._http = envoy, routes, tell, http

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/{service}/deploy", self._deploy),
                web.put("/{service}/hold", self._hold),
                web.post("/{service}/release", self._release),
                web.post("/{service}/runtime_modify", self._change),
                web.get("/{service}/{path:runtime|stats|server_info|clusters}", self._read),
            ]
        )
        return app

    def _route(self, request: web.Request) -> Route:
        return self._routes[request.match_info["service"]]

    async def _deploy(self, request: web.Request) -> web.Response:
        asked, route = await request.json(), self._route(request)
        if route.colours[asked["colour"]].version != asked["version"]:
            route.colours[asked["colour"]].deploy(asked["version"])
            route.candidate = asked["colour"]
            self._tell("deployed", {"service": request.match_info["service"], **asked})
        return web.json_response(asked)

    async def _hold(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self._route(request).hold = Hold(asked["direction"], asked["side"])
        return web.json_response(asked)

    async def _release(self, request: web.Request) -> web.Response:
        hold, self._route(request).hold = self._route(request).hold, None
        if hold is not None:
            hold.forward = (await request.json())["forward"]
            hold.released.set()
        return web.json_response({})

    async def _read(self, request: web.Request) -> web.Response:
        return await self._forward(request, request.match_info["path"])

    async def _change(self, request: web.Request) -> web.Response:
        service, route = request.match_info["service"], self._route(request)
        layer, units = _parsed(request.query)
        direction = "up" if units.get(route.candidate, 0) > 0 else "down"
        hold = route.hold if route.hold and route.hold.direction == direction else None
        if hold and hold.side == "before" and not await self._held(service, hold):
            return web.Response(status=503, text="the conductor died before it sent this")
        answer = await self._forward(request, "runtime_modify")
        if answer.status == 200:
            self._tell("weights", {"service": service, "layer": layer, "units": units})
        if hold and hold.side == "after":
            await self._held(service, hold)
        return answer

    async def _held(self, service: str, hold: Hold) -> bool:
        """Whether it is to be forwarded."""
        self._tell("held", {"service": service, "direction": hold.direction, "side": hold.side})
        try:
            await asyncio.wait_for(hold.released.wait(), LONGEST_HOLD)
        except TimeoutError:
            return True
        return hold.forward

    async def _forward(self, request: web.Request, path: str) -> web.Response:
        url = f"{self._envoy}/{path}"
        async with self._http.request(request.method, url, params=request.query) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)


def _parsed(query: Mapping[str, str]) -> tuple[str, dict[str, int]]:
    """Layer, and colour → weight, of a change such as routing.s1.api.s1_api_blue=5000."""
    units: dict[str, int] = {}
    layer = ""
    for key, value in query.items():
        layer, colour = key.split(".")[2], key.rpartition("_")[2]
        units[colour] = int(value)
    return layer, units


def stamp(kind: str, what: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the town's log: unix seconds first."""
    return {"at": time.time(), "kind": kind, **what}
