"""How internal users reach a candidate: a machine in Fly's private network, a deployment by its own address."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from yarl import URL

from canary.sandbox.platforms.street import CANDIDATE_COLOUR, Street
from canary.sandbox.platforms.town import Town
from canary.sandbox.wire import STABLE_VERSION, Colour
from canary.testing.vercel import BYPASS

BYPASS_HEADER = "x-vercel-protection-bypass"
_OF_A_HOP = frozenset({"host", "connection", "keep-alive", "content-length", "transfer-encoding", "upgrade"})


class Doors:
    """Behind each door is the sandbox's version by the internal route. router_url: without a slash at the end."""

    def __init__(self, town: Town, street: Street, router_url: str, http: aiohttp.ClientSession) -> None:
        self._town = town
        self._street = street
        self._router_url = router_url
        self._http = http

    def private_network(self) -> web.Application:
        """`/{id of a machine}/…`: 404 for none, 503 for one that is not started."""
        app = web.Application()
        app.add_routes([web.route("*", "/{machine}/{path:.*}", self._machine)])
        return app

    def deployments(self) -> web.Application:
        """By the host that is asked for: 404 for none, 401 without the secret that opens protected deployments."""
        app = web.Application()
        app.add_routes([web.route("*", "/{path:.*}", self._deployment)])
        return app

    async def _machine(self, request: web.Request) -> web.Response:
        fly, wanted = self._town.fly, request.match_info["machine"]
        machine = fly.machines.get(wanted)
        if machine is None:
            raise web.HTTPNotFound(text="no such machine")
        if fly.fates.state(machine, self._town.clock.now()) != "started":
            raise web.HTTPServiceUnavailable(text="the machine is not started")
        return await self._through(request, machine.image.tag, request.raw_path.removeprefix(f"/{wanted}"))

    async def _deployment(self, request: web.Request) -> web.Response:
        host = request.host.partition(":")[0]
        found = next((each for each in self._town.vercel.deployments.values() if each.url == host), None)
        if found is None:
            raise web.HTTPNotFound(text="DEPLOYMENT_NOT_FOUND")
        if request.headers.get(BYPASS_HEADER) != BYPASS:
            raise web.HTTPUnauthorized(text="the deployment is protected")
        return await self._through(request, found.meta.get("version", ""), request.raw_path)

    async def _through(self, request: web.Request, version: str, path: str) -> web.Response:
        colour: Colour = "blue" if version == STABLE_VERSION else CANDIDATE_COLOUR
        kept = {n: v for n, v in request.headers.items() if n.lower() not in _OF_A_HOP | {BYPASS_HEADER}}
        headers, sent = {**kept, **self._street.inside(colour)}, await request.read()
        url = URL(f"{self._router_url}{path}", encoded=True)
        try:
            async with self._http.request(
                request.method, url, headers=headers, data=sent, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            raise web.HTTPBadGateway(text="it does not answer") from None
        said = web.Response(status=answer.status, body=body)
        said.headers.extend((name, value) for name, value in answer.headers.items() if name.lower() not in _OF_A_HOP)
        return said
