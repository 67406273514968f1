"""What a rollout's credentials open: part of Envoy's admin API, and `/deploy`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from canary.errors import ProviderUnavailable
from canary.sandbox import bearer
from canary.sandbox.envoyadmin import EnvoyAdmin
from canary.sandbox.fleet import Fleet, weight_of
from canary.sandbox.wire import COLOURS, VERSION_PATTERN

FORWARDED = (
    ("GET", "/runtime"),
    ("POST", "/runtime_modify"),
    ("GET", "/stats"),
    ("GET", "/server_info"),
    ("GET", "/clusters"),
)


class AdminProxy:
    """401 without the token; 403 for anything not listed; 502 when Envoy does not answer.

    POST /deploy {"colour", "version"} → 202 started, 200 runs there already, 409 the colour serves users
    (a weight > 0), 422.
    """

    def __init__(self, envoy: EnvoyAdmin, fleet: Fleet, token: str, on_change: Callable[[], Awaitable[None]]) -> None:
        self._envoy = envoy
        self._fleet = fleet
        self._token = token
        self._on_change = on_change

    def app(self) -> web.Application:
        app = web.Application(middlewares=[bearer.required(self._token)], client_max_size=bearer.LIMIT_BYTES)
        app.add_routes([web.post("/deploy", self._deploy), web.route("*", "/{path:.*}", self._forward)])
        return app

    async def _forward(self, request: web.Request) -> web.Response:
        if (request.method, request.path) not in FORWARDED:
            listed = ", ".join(f"{method} {path}" for method, path in FORWARDED)
            return bearer.refused(403, f"only these are open: {listed}, POST /deploy")
        try:
            status, content_type, body = await self._envoy.ask(request.method, request.raw_path)
        except ProviderUnavailable as error:
            return bearer.refused(502, error.what)
        return web.Response(status=status, content_type=content_type, body=body)

    async def _deploy(self, request: web.Request) -> web.Response:
        asked = await bearer.json_object(request) or {}
        colour, version = asked.get("colour"), asked.get("version")
        if colour not in COLOURS or not isinstance(version, str) or not VERSION_PATTERN.fullmatch(version):
            return bearer.refused(422, f"colour is blue or green, version matches {VERSION_PATTERN.pattern}")
        if self._fleet.versions()[colour] == version:
            return web.json_response({"colour": colour, "version": version})
        try:
            weight = weight_of(await self._envoy.weights(), colour)
            if weight > 0:
                return bearer.refused(409, f"{colour} serves users now (weight {weight}): deploy to the idle colour")
            started = await self._fleet.deploy(colour, version)
        except ProviderUnavailable as error:
            return bearer.refused(502, error.what)
        await self._on_change()
        return web.json_response({"colour": colour, "version": version}, status=202 if started else 200)
