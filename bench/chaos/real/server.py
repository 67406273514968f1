"""A service as light as can be: two colours, each with a version, that answer users and count what they answered.

A version whose name ends in `-bad` answers three of ten requests with a 500.
"""

from __future__ import annotations

import random
from collections import Counter

from aiohttp import web

BAD = "-bad"
BAD_SHARE = 0.3
VERSION_HEADER = "x-version"


class Colour:
    """What runs on one port. `deploy` puts another version there, with fresh counters."""

    def __init__(self, version: str, seed: int) -> None:
        self._random = random.Random(seed)
        self.deploy(version)

    def deploy(self, version: str) -> None:
        self.version, self._answered = version, Counter[int]({200: 0, 500: 0})

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/version", self._tell), web.get("/healthz", self._tell)])
        app.add_routes([web.get("/metrics", self._metrics), web.get("/{path:.*}", self._serve)])
        return app

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self.version})

    async def _metrics(self, _: web.Request) -> web.Response:
        lines = [
            f'http_requests_total{{version="{self.version}",status="{status}"}} {count}'
            for status, count in self._answered.items()
        ]
        return web.Response(text="\n".join(["# TYPE http_requests_total counter", *lines, ""]))

    async def _serve(self, _: web.Request) -> web.Response:
        fails = self.version.endswith(BAD) and self._random.random() < BAD_SHARE
        status = 500 if fails else 200
        self._answered[status] += 1
        return web.Response(status=status, headers={VERSION_HEADER: self.version})
