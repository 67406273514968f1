"""The control API, for `canary.sandbox.control` alone: status and faults."""

from __future__ import annotations

from aiohttp import web

from canary.errors import ProviderUnavailable
from canary.sandbox import bearer
from canary.sandbox.envoyadmin import EnvoyAdmin
from canary.sandbox.flagservice import FlagService
from canary.sandbox.fleet import Fleet
from canary.sandbox.loaddriver import LoadDriver
from canary.sandbox.state import Status
from canary.sandbox.wire import FAULTS


class ControlApi:
    """GET /status → Status. PUT /fault {"fault"} → 200, 422. Both 502 when a part does not answer."""

    def __init__(self, envoy: EnvoyAdmin, fleet: Fleet, flags: FlagService, load: LoadDriver, token: str) -> None:
        self._envoy = envoy
        self._fleet = fleet
        self._flags = flags
        self._load = load
        self._token = token

    def app(self) -> web.Application:
        app = web.Application(middlewares=[bearer.required(self._token)], client_max_size=bearer.LIMIT_BYTES)
        app.add_routes([web.get("/status", self._status), web.put("/fault", self._fault)])
        return app

    async def _status(self, _: web.Request) -> web.Response:
        try:
            weights = await self._envoy.weights()
        except ProviderUnavailable as error:
            return bearer.refused(502, error.what)
        status = Status(
            versions=self._fleet.versions(),
            candidate=self._fleet.candidate(),
            weights=weights,
            flags=self._flags.document,
            fault=self._fleet.fault,
            load=self._load.counted,
        )
        return web.Response(text=status.model_dump_json(), content_type="application/json")

    async def _fault(self, request: web.Request) -> web.Response:
        fault = (await bearer.json_object(request) or {}).get("fault")
        if fault not in FAULTS:
            return bearer.refused(422, f"the faults are {', '.join(FAULTS)}")
        try:
            await self._fleet.suffer(fault)
        except ProviderUnavailable as error:
            return bearer.refused(502, error.what)
        return web.json_response({"fault": fault})
