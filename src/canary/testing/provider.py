"""What every provider's local server has: a place on loopback, a token, a log, and ways to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

READS = frozenset({"GET", "HEAD"})
HUGE = 11 * 2**20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Knobs:
    """How the server misbehaves; all of it is off at first.

    rate_limited:  so many of the next requests get 429, and `retry_after` seconds in Retry-After.
    fails:         so many of the next requests get 500, without effect.
    keeps_answers: so many changes are still answered before `loses_answers` counts.
    loses_answers: so many of the next changes have their effect, and then the connection breaks.
    down:          every connection breaks, without effect.
    revoked:       no token is good any more: 401.
    forbids:       the token may not: 403.
    html:          every answer is a page with status 200, as from a proxy in front.
    redirects_to:  every answer is a 302 to that address.
    huge:          every answer is 11 MiB of nothing.
    slow_seconds:  every answer takes so long.
    """

    rate_limited: int = 0
    retry_after: int = 1
    fails: int = 0
    keeps_answers: int = 0
    loses_answers: int = 0
    down: bool = False
    revoked: bool = False
    forbids: bool = False
    html: bool = False
    redirects_to: str = ""
    huge: bool = False
    slow_seconds: float = 0.0


class Provider(Protocol):
    """A stateful server of one vendor's API. `log` is every request that arrived, in order."""

    knobs: Knobs
    log: list[Asked]
    url: str

    def routes(self) -> list[web.RouteDef]: ...

    def allows(self, request: web.Request) -> bool:
        """Whether the request proves who asks, in the vendor's way."""

    def refusal(self, status: int, message: str) -> web.Response:
        """The vendor's form of an error."""


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[str]:
    """The provider on a free port of loopback; `provider.url` is set. Ends without waiting for slow answers."""

    @web.middleware
    async def in_front(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await answered(provider, request, handler)

    app = web.Application(middlewares=[in_front], client_max_size=2**24)
    app.add_routes(provider.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider.url
    finally:
        await runner.cleanup()


async def answered(provider: Provider, request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the provider says to the request, misbehaving as its knobs are set; `log` has it then."""
    body = await request.read()
    headers = {name.lower(): value for name, value in request.headers.items()}
    provider.log.append(Asked(request.method, request.path, dict(request.query), headers, body))
    if provider.knobs.slow_seconds:
        await asyncio.sleep(provider.knobs.slow_seconds)
    instead = _instead(provider, request)
    if instead is not None:
        return instead
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        answer = provider.refusal(error.status, error.text or error.reason)
    if provider.knobs.loses_answers and request.method not in READS:
        if provider.knobs.keeps_answers:
            provider.knobs.keeps_answers -= 1
            return answer
        provider.knobs.loses_answers -= 1
        _cut(request)
    return answer


def _instead(provider: Provider, request: web.Request) -> web.Response | None:
    """What is answered without any effect, or None."""
    knobs = provider.knobs
    if knobs.down:
        _cut(request)
        return web.Response()
    if knobs.html:
        return web.Response(text="<html><body>Checking your browser…</body></html>", content_type="text/html")
    if knobs.redirects_to:
        return web.Response(status=302, headers={"Location": knobs.redirects_to})
    if knobs.huge:
        return web.Response(body=bytes(HUGE), content_type="application/json")
    if knobs.rate_limited:
        knobs.rate_limited -= 1
        limited = provider.refusal(429, "too many requests")
        limited.headers["Retry-After"] = str(knobs.retry_after)
        return limited
    if knobs.fails:
        knobs.fails -= 1
        return provider.refusal(500, "an internal error occurred")
    if knobs.revoked or not provider.allows(request):
        return provider.refusal(401, "the token is not valid")
    return provider.refusal(403, "the token may not do that") if knobs.forbids else None


def _cut(request: web.Request) -> None:
    """No answer reaches the client: the connection is reset."""
    if request.transport is not None:
        request.transport.abort()
