"""A vendor's local server reached without sockets: in the place of a block's HTTP client.

Paths are matched, and requests answered, by the very handlers that `canary.testing` serves. What lies between is a
`Road`: how long it takes, which limits stand at its end, and whether the answer comes back.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from aiohttp import web
from multidict import CIMultiDict

from canary.testing.provider import Provider, answered

C = TypeVar("C", bound="Client")
HOST = "http://vendor.invalid"


@dataclass(slots=True)
class Limit:
    """So many requests of a kind in any so many seconds; the rest gets 429. Without a log of what it let through."""

    method: str
    path: str
    most: int
    seconds: float
    _at: deque[float] = field(default_factory=deque)

    def full(self, method: str, path: str, now: float) -> bool:
        if method != self.method or not path.endswith(self.path):
            return False
        while self._at and self._at[0] <= now - self.seconds:
            self._at.popleft()
        if len(self._at) >= self.most:
            return True
        self._at.append(now)
        return False


@dataclass(slots=True)
class Road:
    """Seconds a request takes, there and back, evenly between two; the share of answers that are lost."""

    random: random.Random
    least: float = 0.0
    most: float = 0.0
    lost: float = 0.0
    limits: tuple[Limit, ...] = ()

    async def half(self) -> None:
        if self.most:
            await asyncio.sleep(self.random.uniform(self.least, self.most) / 2)

    def loses(self) -> bool:
        return self.lost > 0 and self.random.random() < self.lost


@dataclass(slots=True)
class Request:
    """What the handlers ask of an aiohttp request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: CIMultiDict[str]
    body: bytes
    match_info: Mapping[str, str]
    transport: None = None

    async def read(self) -> bytes:
        return self.body

    async def json(self) -> Any:
        return json.loads(self.body)

    async def post(self) -> Mapping[str, str]:
        return dict(httpx.QueryParams(self.body.decode()))


@dataclass(slots=True)
class Answered:
    """What a block asks of an httpx response."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None:
        """Nothing is open."""


class Client:
    """In the place of httpx.AsyncClient. `statuses` counts answers by status, lost ones too; `lost` those."""

    def __init__(self, provider: Provider, road: Road) -> None:
        self.provider = provider
        self.road = road
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self._routes = [(r.method, _pattern(r.path), r.handler) for r in provider.routes()]
        self._known: dict[tuple[str, str], tuple[Callable[..., Any], Mapping[str, str]]] = {}

    def build_request(self, method: str, url: str, *, headers: Mapping[str, str], **content: Any) -> Request:
        sent = CIMultiDict(headers)
        body = b""
        if "json" in content:
            body, sent["Content-Type"] = json.dumps(content["json"]).encode(), "application/json"
        elif "data" in content:
            body, sent["Content-Type"] = urlencode(content["data"]).encode(), "application/x-www-form-urlencoded"
        query = {key: str(value) for key, value in (content.get("params") or {}).items()}
        return Request(method, url.removeprefix(HOST), query, sent, body, {})

    async def send(self, request: Request, *, stream: bool) -> Answered:
        await self.road.half()
        said = await self._said(request)
        self.statuses[said.status] += 1
        await self.road.half()
        if self.road.loses():
            self.lost += 1
            raise httpx.ReadError("the answer was lost")
        headers = {name.lower(): value for name, value in said.headers.items()}
        return Answered(said.status, headers, bytes(said.body or b""))

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _said(self, request: Request) -> Any:
        now = asyncio.get_running_loop().time()
        if any(limit.full(request.method, request.path, now) for limit in self.road.limits):
            return self.provider.refusal(429, "too many requests")
        handler, request.match_info = self._found(request.method, request.path)
        return await answered(self.provider, request, handler)  # type: ignore[arg-type]

    def _found(self, method: str, path: str) -> tuple[Callable[..., Any], Mapping[str, str]]:
        if (method, path) not in self._known:
            self._known[method, path] = self._matched(method, path)
        return self._known[method, path]

    def _matched(self, method: str, path: str) -> tuple[Callable[..., Any], Mapping[str, str]]:
        for known, pattern, handler in self._routes:
            if known == method and (match := pattern.fullmatch(path)):
                return handler, match.groupdict()
        return _nowhere, {}


async def _nowhere(request: Request) -> web.Response:
    raise web.HTTPNotFound(text=f"404: {request.path}")


def _pattern(path: str) -> re.Pattern[str]:
    """aiohttp's {name} and {name:regex} as named groups."""
    return re.compile(re.sub(r"\{(\w+)(?::([^{}]+))?\}", lambda m: f"(?P<{m[1]}>{m[2] or '[^/]+'})", path))


def through(block: Any, client: C) -> C:
    """The block reaches the client's server, and nothing else."""
    # The one place where a block keeps its client; none of its own is ever made then.
    block._http._client = client
    return client
