"""The bearer check in front of everything that can change something."""

from __future__ import annotations

import hmac
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

LIMIT_BYTES = 16_384


def carries(request: web.Request, token: str) -> bool:
    """Whether the request shows the token; compared in constant time."""
    shown = request.headers.get("Authorization", "")
    return hmac.compare_digest(shown.encode(), f"Bearer {token}".encode())


def required(token: str) -> Middleware:
    """401 for every request without the token, whatever its path."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request) if carries(request, token) else unauthorized()

    return check


def unauthorized() -> web.Response:
    """401, saying what to send."""
    body = {"error": "this needs the header Authorization: Bearer <token>, with the token for this service"}
    return web.json_response(body, status=401, headers={"WWW-Authenticate": "Bearer"})


def refused(status: int, why: str) -> web.Response:
    """A JSON object with the reason under `error`."""
    return web.json_response({"error": why}, status=status)


async def json_object(request: web.Request) -> dict[str, Any] | None:
    """The body as a JSON object; None when it is none, or longer than the server's limit."""
    try:
        body = json.loads(await request.read())
    except (ValueError, web.HTTPRequestEntityTooLarge):
        return None
    return body if isinstance(body, dict) else None
