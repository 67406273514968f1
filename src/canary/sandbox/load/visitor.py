"""What one user does: looks at a page as a browser would, asks for documents, or publishes one."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from canary.sandbox.docflow.api import EXPORT_ROUTE
from canary.sandbox.docflow.server import VERSION_HEADER
from canary.sandbox.envoy import COLOUR_HEADER
from canary.sandbox.wire import AI_QUEUE, FEATURES, FORECAST, Feature

# Shares of actions. A visit makes a good 2½ requests or more; so about a quarter of all requests are page views.
# Who publishes has a few documents: enough in the demo's short canary to show a p95 of publishing.
_VISITS = 0.6
_DOCUMENTS = 0.08
_PUBLISHED = 2
# Shares of visits. Of the exports a good third are scheduled where the page offers that.
_USES = {"queue": 0.5, "analytics": 0.5, "export": 0.35}
_EXPORTS = 0.9
REQUESTS_PER_ACTION = _VISITS * (2 + 1 / 3 + _EXPORTS / 3) + _DOCUMENTS + (1 - _VISITS - _DOCUMENTS) * _PUBLISHED

_CONFIG = re.compile(r'id="docflow">(\{.*?\})</script>')


class Ledger(Protocol):
    """Who counts the requests."""

    def sent(self) -> None: ...

    def answered(self, status: int, version: str | None, colour: str | None) -> None: ...

    def failed(self, *, late: bool) -> None: ...


class Visitor:
    """One action of one user: `headers` say who they are. `requests` counts what the action sent."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        rng: random.Random,
        ledger: Ledger,
        headers: Mapping[str, str],
        token: str,
    ) -> None:
        self._http = http
        self._random = rng
        self._ledger = ledger
        self._headers = headers
        self._signed_in = {**headers, "Authorization": f"Bearer {token}"}
        self.requests = 0

    async def act(self) -> None:
        choice = self._random.random()
        if choice < _VISITS:
            await self._visit(self._random.choice(FEATURES))
        elif choice < _VISITS + _DOCUMENTS:
            await self._send("GET", "/api/documents", self._headers)
        else:
            for _ in range(_PUBLISHED):
                await self._send("POST", "/api/publish", self._headers)

    async def _visit(self, feature: Feature) -> None:
        """Open the page and do what its script does, as the page itself tells it."""
        html = await self._send("GET", f"/{feature.component}", self._headers)
        found = _CONFIG.search(html or "")
        if found is None:
            return
        page = json.loads(found[1])
        await self._beacon("view", feature, message=f"/{feature.component}")
        if feature.component == "queue":
            await self._send("GET", "/api/documents", self._headers)
        if page["broken"]:
            await self._beacon("error", feature, message=f"/{feature.component}")
        elif page["feature"] and self._random.random() < _USES[feature.component]:
            await self._use(feature)
        elif feature.component == "export" and self._random.random() < _EXPORTS:
            await self._send("GET", EXPORT_ROUTE, self._headers)

    async def _use(self, feature: Feature) -> None:
        if feature is FORECAST:
            await self._toggle_forecast()
            return
        await self._beacon("use", feature, use=feature.use)
        query = "?aiType=invoice" if feature is AI_QUEUE else ""
        await self._send(feature.method, f"{feature.endpoint}{query}", self._signed_in)

    async def _toggle_forecast(self) -> None:
        """As the script: the time until the forecast is there goes with the use, if it comes."""
        started = time.perf_counter()
        shown = await self._send(FORECAST.method, FORECAST.endpoint, self._signed_in)
        measured = {"render_seconds": time.perf_counter() - started} if shown else {}
        await self._beacon("use", FORECAST, use=FORECAST.use, **measured)

    async def _beacon(self, kind: str, feature: Feature, **more: str | float) -> None:
        body = {"kind": kind, "component": feature.component, **more}
        await self._send("POST", "/beacon", self._headers, body)

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> str | None:
        """The body of a 200, else None."""
        self.requests += 1
        self._ledger.sent()
        try:
            async with self._http.request(method, path, headers=headers, json=body) as response:
                text = await response.text()
        except TimeoutError:
            self._ledger.failed(late=True)
            return None
        except aiohttp.ClientError:
            self._ledger.failed(late=False)
            return None
        signed = response.headers
        self._ledger.answered(response.status, signed.get(VERSION_HEADER), signed.get(COLOUR_HEADER))
        return text if response.status == 200 else None
