"""Slack on this machine: a server that speaks its wire, says what it was told, and can be told to misbehave.

What it answers, and where that is documented: HTTP 200 with `ok` and `error` (https://docs.slack.dev/apis/web-api/),
429 with Retry-After (https://docs.slack.dev/apis/web-api/rate-limits), the methods auth.test, conversations.info and
chat.postMessage (https://docs.slack.dev/reference/methods), and plain text from incoming webhooks
(https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from canary.testing.provider import Asked

TOKEN = "xoxb-local-t0ken"
CHANNEL = "C0LOCAL"
HOOK = "/services/T0LOCAL/B0LOCAL/l0cal-h00k"
_STATUS = {"action_prohibited": 403, "invalid_token": 403, "channel_is_archived": 410}


@dataclass(frozen=True, slots=True)
class Told:
    """One message. `text` as it came; `thread` is the ts of the message it replies to, or "" for one of its own."""

    channel: str
    text: str
    ts: str = ""
    thread: str = ""

    @property
    def shown(self) -> str:
        """The text as people read it."""
        return html.unescape(self.text)


@dataclass(slots=True)
class SlackServer:
    """`told` is what came, `log` every request, in order; `channels`: their ids. Use it by `slack_server()`."""

    url: str = ""
    told: list[Told] = field(default_factory=list)
    log: list[Asked] = field(default_factory=list)
    channels: set[str] = field(default_factory=lambda: {CHANNEL})
    scopes: str = "chat:write,channels:read"
    refuses: dict[str, str] = field(default_factory=dict)
    _member: bool = True
    _limits: int = 0
    _limit_seconds: int = 0
    _delay_seconds: float = 0.0
    _down: bool = False

    def rate_limited(self, n: int, seconds: int) -> None:
        """The next `n` requests get 429, and are asked to wait so long."""
        self._limits, self._limit_seconds = n, seconds

    def invalid_auth(self) -> None:
        """From now on no token and no webhook is good."""
        self.refuses |= dict.fromkeys(("auth.test", "conversations.info", "chat.postMessage"), "invalid_auth")
        self.refuses["webhook"] = "invalid_token"

    def not_in_channel(self) -> None:
        """The app is not in the channel."""
        self._member = False

    def slow(self, seconds: float) -> None:
        """Every answer takes so long."""
        self._delay_seconds = seconds

    def down(self) -> None:
        """From now on each connection breaks."""
        self._down = True

    def threads(self) -> Mapping[str, list[str]]:
        """The first message's ts → the thread's texts as people read them, in order. A lone message is one too."""
        found: dict[str, list[str]] = {}
        for message in self.told:
            found.setdefault(message.thread or message.ts, []).append(message.shown)
        return found

    def fields(self) -> dict[str, Any]:
        """Plain values of a Slack block that reaches it by token."""
        return {"token": TOKEN, "channel": CHANNEL, "oncall": ["S0ONCALL"], "base_url": f"{self.url}/api"}

    def webhook_fields(self) -> dict[str, Any]:
        """Plain values of a Slack block that reaches it by webhook."""
        return {"webhook_url": f"{self.url}{HOOK}", "oncall": ["S0ONCALL"]}

    def routes(self) -> list[web.RouteDef]:
        """Everything comes to `handle`."""
        return [web.route("*", "/{path:.*}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """Any request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.log.append(Asked(request.method, request.path, dict(request.query), headers, await request.read()))
        await asyncio.sleep(self._delay_seconds)
        if self._down:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self._limits:
            self._limits -= 1
            again = {"Retry-After": str(self._limit_seconds)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=again)
        if request.path == HOOK:
            return await self._hook(request)
        return self._answer(request.path.removeprefix("/api/"), request, await _arguments(request))

    async def _hook(self, request: web.Request) -> web.Response:
        if refused := self.refuses.get("webhook"):
            return web.Response(text=refused, status=_STATUS.get(refused, 404))
        text = (await _arguments(request)).get("text", "")
        if not text:
            return web.Response(text="no_text", status=400)
        self.told.append(Told("webhook", text))
        return web.Response(text="ok")

    def _answer(self, method: str, request: web.Request, arguments: Mapping[str, Any]) -> web.Response:
        refused = self.refuses.get(method) or self._refused(method, request, arguments)
        if refused:
            return web.json_response({"ok": False, "error": refused})
        if method == "conversations.info":
            found = {"id": arguments["channel"], "is_member": self._member, "is_archived": False}
            return web.json_response({"ok": True, "channel": found})
        if method == "chat.postMessage":
            return web.json_response({"ok": True, **self._post(arguments)})
        return web.json_response({"ok": True, "user_id": "U0BOT"}, headers={"X-OAuth-Scopes": self.scopes})

    def _refused(self, method: str, request: web.Request, arguments: Mapping[str, Any]) -> str:
        """Slack's word, or ""."""
        token = request.headers.get("Authorization", "")
        if method not in ("auth.test", "conversations.info", "chat.postMessage"):
            return "unknown_method"
        if token != f"Bearer {TOKEN}":
            return "invalid_auth" if token else "not_authed"
        if method != "auth.test" and arguments.get("channel") not in self.channels:
            return "channel_not_found"
        if method == "conversations.info" and "channels:read" not in self.scopes.split(","):
            return "missing_scope"
        return self._unpostable(arguments) if method == "chat.postMessage" else ""

    def _unpostable(self, arguments: Mapping[str, Any]) -> str:
        if not self._member and "chat:write.public" not in self.scopes:
            return "not_in_channel"
        if not arguments.get("text"):
            return "no_text"
        thread = arguments.get("thread_ts")
        return "" if thread is None or any(told.ts == thread for told in self.told) else "thread_not_found"

    def _post(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        number = len(self.told) + 1
        ts = f"{1_700_000_000 + number}.{number:06d}"
        self.told.append(Told(arguments["channel"], arguments["text"], ts, arguments.get("thread_ts") or ""))
        return {"channel": arguments["channel"], "ts": ts, "message": {"text": arguments["text"]}}


async def _arguments(request: web.Request) -> Mapping[str, Any]:
    """A query, JSON or a form, as Slack takes either."""
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        return dict(await request.json())
    return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}


@asynccontextmanager
async def slack_server() -> AsyncIterator[SlackServer]:
    """A server on a free port of loopback, until the end of the block."""
    slack, app = SlackServer(), web.Application()
    app.add_routes(slack.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield slack
    finally:
        await runner.cleanup()
