"""The flag service: one JSON document of booleans, with an ETag, behind a bearer token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from aiohttp import web

from canary.sandbox import bearer


class FlagService:
    """GET /flags → 200 the document, or 304 for its ETag. PATCH /flags → 200 the new document, 404, 422.

    A refused PATCH changes nothing.
    """

    def __init__(self, flags: Mapping[str, bool], token: str) -> None:
        self._flags = dict(flags)
        self._token = token

    @property
    def document(self) -> dict[str, bool]:
        return dict(self._flags)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[bearer.required(self._token)], client_max_size=bearer.LIMIT_BYTES)
        app.add_routes([web.get("/flags", self._get), web.patch("/flags", self._patch)])
        return app

    async def _get(self, request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == self._etag():
            return web.Response(status=304, headers={"ETag": self._etag()})
        return self._answer()

    async def _patch(self, request: web.Request) -> web.Response:
        changes = await bearer.json_object(request)
        if changes is None:
            return bearer.refused(422, 'the body is a JSON object such as {"phase1_enabled": false}')
        unknown = sorted(set(changes) - set(self._flags))
        if unknown:
            return bearer.refused(404, f"no flag {', '.join(unknown)}; there are {', '.join(self._flags)}")
        odd = [name for name, value in changes.items() if not isinstance(value, bool)]
        if odd:
            return bearer.refused(422, f"{', '.join(odd)}: a flag is true or false")
        self._flags.update(changes)
        return self._answer()

    def _answer(self) -> web.Response:
        return web.json_response(self._flags, headers={"ETag": self._etag()})

    def _etag(self) -> str:
        digest = hashlib.sha256(json.dumps(self._flags, sort_keys=True).encode()).hexdigest()
        return f'"{digest[:16]}"'
