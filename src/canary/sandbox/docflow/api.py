"""docflow's API: documents, publishing, and the three features' endpoints behind the admin token."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from canary.sandbox import bearer
from canary.sandbox.docflow.behaviour import API_WORK, PUBLISH_WORK, Behaviour
from canary.sandbox.docflow.meters import Meters
from canary.sandbox.envoy import INTERNAL_USER_HEADER
from canary.sandbox.wire import FEATURES

QUEUE, FORECAST, SCHEDULE = (feature.endpoint for feature in FEATURES)
_AI_QUEUE, _FORECAST, _SCHEDULE = FEATURES
AI_TYPES = ("invoice", "contract", "receipt")
_DOCUMENTS = tuple(
    {"id": number, "title": f"{kind} {number}", "aiType": kind, "confidence": 0.9}
    for number, kind in enumerate(AI_TYPES * 4, start=1)
)
_PREDICTIONS = tuple({"day": day, "documents": 120 + 7 * day} for day in range(1, 8))


class Api:
    """Handlers. A feature's endpoint answers 401 without the token, 404 where the feature is off."""

    def __init__(self, behaviour: Behaviour, meters: Meters, token: str) -> None:
        self._behaviour = behaviour
        self._meters = meters
        self._token = token
        self._schedules: list[dict[str, str]] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/documents", self._documents),
            web.post("/api/publish", self._publish),
            web.get(QUEUE, self._admin(self._queue)),
            web.get(FORECAST, self._admin(self._forecast)),
            web.get(SCHEDULE, self._admin(self._list_schedules)),
            web.post(SCHEDULE, self._admin(self._schedule)),
        ]

    def _admin(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not bearer.carries(request, self._token):
                return bearer.unauthorized()
            await self._behaviour.work(API_WORK)
            if self._behaviour.fails():
                return bearer.refused(500, "the fault `errors` is on")
            return await handler(request)

        return checked

    async def _documents(self, _: web.Request) -> web.Response:
        await self._behaviour.work(API_WORK)
        return web.json_response({"documents": _DOCUMENTS})

    async def _publish(self, _: web.Request) -> web.Response:
        await self._behaviour.work(PUBLISH_WORK)
        self._meters.published(self._behaviour.price_eur())
        return web.json_response({"published": True})

    async def _queue(self, request: web.Request) -> web.Response:
        wanted = request.query.get("aiType")
        if wanted is None:
            return web.json_response({"documents": _DOCUMENTS})
        if not self._behaviour.shows(_AI_QUEUE, internal=is_internal(request)):
            return _off("the AI filter")
        self._meters.classifications.inc()
        matching = [document for document in _DOCUMENTS if document["aiType"] == wanted]
        return web.json_response({"aiType": wanted, "documents": matching})

    async def _forecast(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(_FORECAST, internal=is_internal(request)):
            return _off("the forecast")
        self._meters.forecasts.inc()
        return web.json_response({"predictions": _PREDICTIONS})

    async def _list_schedules(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(_SCHEDULE, internal=is_internal(request)):
            return _off("export scheduling")
        return web.json_response({"schedules": self._schedules})

    async def _schedule(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(_SCHEDULE, internal=is_internal(request)):
            return _off("export scheduling")
        self._meters.schedules.inc()
        # One entry stands for all: the list must not grow with the load.
        self._schedules = [{"every": "day", "format": "csv"}]
        return web.json_response({"status": "scheduled"})


def is_internal(request: web.Request) -> bool:
    """Envoy alone sets this header; it removes it from requests of ordinary users."""
    return request.headers.get(INTERNAL_USER_HEADER) == "1"


def _off(what: str) -> web.Response:
    return bearer.refused(404, f"{what} is switched off in this version")
