"""docflow's API: documents, publishing, exports, and the three features' endpoints behind the admin token."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from canary.sandbox import bearer
from canary.sandbox.docflow.behaviour import API_WORK, PUBLISH_WORK, Behaviour
from canary.sandbox.docflow.live import Live
from canary.sandbox.docflow.meters import PUBLISH_ROUTE, Meters
from canary.sandbox.envoy import INTERNAL_USER_HEADER, USER_HEADER
from canary.sandbox.wire import AI_QUEUE, FEATURES, FORECAST, SCHEDULE, Feature

EXPORT_ROUTE = "/api/export"
AI_TYPES = ("invoice", "contract", "receipt")
SURE = 0.85
"""Above this confidence the AI's type is taken; below it a person looks."""
_DOCUMENTS = tuple(
    {"id": number, "title": f"{kind} {number}", "aiType": kind, "confidence": 0.9}
    for number, kind in enumerate(AI_TYPES * 4, start=1)
)
_CSV = "id,title\n" + "".join(f"{each['id']},{each['title']}\n" for each in _DOCUMENTS)
_PREDICTIONS = tuple({"day": day, "documents": 120 + 7 * day} for day in range(1, 8))


class Api:
    """Handlers. A feature's endpoint answers 401 without the token, 404 where the feature is off."""

    def __init__(self, behaviour: Behaviour, meters: Meters, live: Live, token: str) -> None:
        self._behaviour = behaviour
        self._meters = meters
        self._live = live
        self._token = token
        self._schedules: list[dict[str, str]] = []
        self._telling: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/documents", self._documents),
            web.post(PUBLISH_ROUTE, self._publish),
            web.get(EXPORT_ROUTE, self._export),
            web.get(AI_QUEUE.endpoint, self._admin(self._queue)),
            web.get(FORECAST.endpoint, self._admin(self._forecast)),
            web.get(SCHEDULE.endpoint, self._admin(self._list_schedules)),
            web.post(SCHEDULE.endpoint, self._admin(self._schedule)),
        ]

    def _admin(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not bearer.carries(request, self._token):
                return bearer.unauthorized()
            started = time.perf_counter()
            await self._behaviour.work(API_WORK)
            failed = self._behaviour.fails(_called(request), internal=is_internal(request))
            broken = f"the fault `{self._behaviour.fault}` is on"
            answer = bearer.refused(500, broken) if failed else await handler(request)
            self._count(request, time.perf_counter() - started, failed)
            return answer

        return checked

    def _count(self, request: web.Request, seconds: float, failed: bool) -> None:
        """A call of a feature that is off is none, nor is a look at the schedules or at the whole queue."""
        feature = _called(request)
        if feature is None or not self._behaviour.shows(feature, internal=is_internal(request)):
            return
        self._meters.features.called(feature, seconds, failed=failed)
        self._meters.admins.tried(feature, request.headers.get(USER_HEADER, ""))

    async def _documents(self, _: web.Request) -> web.Response:
        await self._behaviour.work(API_WORK)
        return web.json_response({"documents": _DOCUMENTS})

    async def _publish(self, request: web.Request) -> web.Response:
        await self._behaviour.work(PUBLISH_WORK)
        self._meters.published(self._behaviour.price_eur())
        self._tell(self._classify(internal=is_internal(request)))
        return web.json_response({"published": True})

    def _tell(self, classified_by: str) -> None:
        """After the answer: who publishes does not wait until every subscriber has been written to."""
        telling = asyncio.create_task(self._live.published(classified_by))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    def _classify(self, *, internal: bool) -> Literal["ai", "manual"]:
        """Who found the document's type: a person, where there is no AI or it is not sure."""
        by_ai = self._behaviour.shows(AI_QUEUE, internal=internal)
        confidence = self._behaviour.confidence() if by_ai else None
        by: Literal["ai", "manual"] = "ai" if confidence is not None and confidence > SURE else "manual"
        self._meters.features.classified(by, confidence)
        return by

    async def _export(self, _: web.Request) -> web.Response:
        await self._behaviour.work(API_WORK)
        self._meters.features.exported("manual")
        return web.Response(text=_CSV, content_type="text/csv")

    async def _queue(self, request: web.Request) -> web.Response:
        wanted = request.query.get("aiType")
        if wanted is None:
            return web.json_response({"documents": _DOCUMENTS})
        if not self._behaviour.shows(AI_QUEUE, internal=is_internal(request)):
            return _off("the AI filter")
        matching = [document for document in _DOCUMENTS if document["aiType"] == wanted]
        return web.json_response({"aiType": wanted, "documents": matching})

    async def _forecast(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(FORECAST, internal=is_internal(request)):
            return _off("the forecast")
        self._meters.features.forecast(self._behaviour.forecast_error_ratio())
        return web.json_response({"predictions": _PREDICTIONS})

    async def _list_schedules(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(SCHEDULE, internal=is_internal(request)):
            return _off("export scheduling")
        return web.json_response({"schedules": self._schedules})

    async def _schedule(self, request: web.Request) -> web.Response:
        if not self._behaviour.shows(SCHEDULE, internal=is_internal(request)):
            return _off("export scheduling")
        self._meters.features.exported("scheduled")
        # One entry stands for all: the list must not grow with the load.
        self._schedules = [{"every": "day", "format": "csv"}]
        return web.json_response({"status": "scheduled"})


def _called(request: web.Request) -> Feature | None:
    """The feature that this is a call of."""
    if request.path == AI_QUEUE.endpoint and "aiType" not in request.query:
        return None
    return next((each for each in FEATURES if (each.method, each.endpoint) == (request.method, request.path)), None)


def is_internal(request: web.Request) -> bool:
    """Envoy alone sets this header; it removes it from requests of ordinary users."""
    return request.headers.get(INTERNAL_USER_HEADER) == "1"


def _off(what: str) -> web.Response:
    return bearer.refused(404, f"{what} is switched off in this version")
