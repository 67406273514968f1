"""docflow's three pages, their scripts, and the beacons that the scripts send."""

from __future__ import annotations

import json
import uuid
from importlib.resources import files

from aiohttp import web
from aiohttp.typedefs import Handler

from canary.sandbox import bearer
from canary.sandbox.docflow import beacon
from canary.sandbox.docflow.api import is_internal
from canary.sandbox.docflow.behaviour import Behaviour
from canary.sandbox.docflow.meters import Meters
from canary.sandbox.envoy import USER_COOKIE, USER_HEADER
from canary.sandbox.wire import COMPONENTS, FEATURES, Feature

CONFIG_MARK = "__DOCFLOW__"
_SCRIPTS = ("docflow.js", *(f"{component}.js" for component in COMPONENTS))


class Pages:
    """Handlers. A page carries `{"component", "feature", "broken"}`: the last two tell its script what to do."""

    def __init__(self, behaviour: Behaviour, meters: Meters) -> None:
        self._behaviour = behaviour
        self._meters = meters
        folder = files("canary.sandbox") / "pages"
        self._html = {name: (folder / f"{name}.html").read_text() for name in COMPONENTS}
        self._scripts = {name: (folder / name).read_text() for name in _SCRIPTS}

    def routes(self) -> list[web.RouteDef]:
        pages = [web.get(f"/{feature.component}", self._page(feature)) for feature in FEATURES]
        return [*pages, web.get("/static/{name}", self._script), web.post("/beacon", self._beacon)]

    def _page(self, feature: Feature) -> Handler:
        async def page(request: web.Request) -> web.StreamResponse:
            internal = is_internal(request)
            config = {
                "component": feature.component,
                "feature": self._behaviour.shows(feature, internal=internal),
                "broken": self._behaviour.throws(feature, internal=internal),
            }
            text = self._html[feature.component].replace(CONFIG_MARK, json.dumps(config))
            return _recognised(request, web.Response(text=text, content_type="text/html"))

        return page

    async def _script(self, request: web.Request) -> web.Response:
        script = self._scripts.get(request.match_info["name"])
        if script is None:
            return bearer.refused(404, f"the scripts are {', '.join(_SCRIPTS)}")
        return web.Response(text=script, content_type="text/javascript")

    async def _beacon(self, request: web.Request) -> web.Response:
        """A `Beacon` → 204."""
        sent = beacon.parse(await request.read())
        if sent is None:
            return bearer.refused(422, f"kind is view, error or use, component one of {', '.join(COMPONENTS)}")
        if sent.kind == "use":
            self._meters.features.used(sent.feature, sent.render_seconds)
        elif sent.kind == "view":
            self._meters.viewed(sent.component)
        else:
            self._meters.threw(sent.component)
        return web.Response(status=204)


def _recognised(request: web.Request, response: web.Response) -> web.Response:
    """A browser gets a cookie, by which the router keeps it on one side from its next request on."""
    if USER_HEADER not in request.headers and USER_COOKIE not in request.cookies:
        response.set_cookie(USER_COOKIE, uuid.uuid4().hex, httponly=True, samesite="Lax")
    return response
