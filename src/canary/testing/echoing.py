"""A platform that repeats whatever it is sent, the credentials first: for searches after secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
from aiohttp import web


@dataclass
class EchoingPlatform:
    """Slack, a flag service in front of another one, and a Prometheus. Every second message fails, every query too.

    flags_url: the flag service behind this one; asked while nobody is `angry`. asked: path and Authorization of each
    request; heard: the bodies.
    """

    flags_url: str = ""
    url: str = ""
    angry: bool = False
    asked: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request: Slack takes every second message, the flag service works while nobody is angry."""
        body = await request.read()
        self.asked.append(f"{request.path} {request.headers.get('Authorization', '')}")
        self.heard.append(body.decode())
        if request.path.startswith("/services/"):
            return self._webhook(request)
        if request.path == "/api/auth.test" or request.path == "/api/conversations.info":
            return web.json_response({"ok": True, "channel": {}}, headers={"X-OAuth-Scopes": "chat:write"})
        if request.path == "/api/chat.postMessage" and len(self.asked) % 2:
            return web.json_response({"ok": True, "channel": "C024BE91L", "ts": f"1700000000.{len(self.asked):06d}"})
        if request.path == "/flags" and not self.angry:
            return await self._passed_on(request, body)
        return self._echo(request, 401 if request.path.startswith("/api/v1/") else 503)

    def _webhook(self, request: web.Request) -> web.Response:
        """Takes a message, refuses with the secret for a word, or fails."""
        match len(self.asked) % 3:
            case 0:
                return web.Response(text="ok")
            case 1:
                return web.Response(status=403, text=request.path.rpartition("/")[2])
        return self._echo(request, 500)

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response:
        headers = {"Authorization": request.headers["Authorization"]}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, f"{self.flags_url}/flags", data=body, headers=headers) as answer,
        ):
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    def _echo(self, request: web.Request, status: int) -> web.Response:
        sent = f"{request.path} {request.headers.get('Authorization', '')}"
        encoded = base64.b64encode(sent.encode()).decode()
        message = f"refused: {sent} {quote(sent, safe='')} {encoded} {json.dumps(dict(request.headers))}"
        where = {"Location": f"/login?next={quote(sent)}", "X-Sent": quote(sent)}
        return web.json_response({"error": {"message": message}}, status=status, headers=where)


@asynccontextmanager
async def echoing_platform() -> AsyncIterator[EchoingPlatform]:
    """On a free port of loopback, until the end of the block."""
    platform, app = EchoingPlatform(), web.Application()
    app.router.add_route("*", "/{path:.*}", platform.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield platform
    finally:
        await runner.cleanup()
