"""What stands between us and Slack: answers that are none of its, redirects, and the environment's proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.slack import Slack
from canary.blocks.slack_calls import proxy_for
from canary.errors import ProviderUnavailable
from canary.testing.slack import CHANNEL, HOOK, TOKEN, slack_server

FIELDS = {"token": TOKEN, "channel": CHANNEL, "oncall": ["U0X"]}
WRONG = [
    (200, ""),
    (200, "<html>"),
    (200, "[]"),
    (200, "[1]"),
    (200, "{}"),
    (503, '{"ok": true, "ts": "1.1"}'),
    (302, ""),
]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html", "application/gzip"])
@pytest.mark.parametrize(("status", "body"), WRONG)
async def test_an_answer_that_is_none_of_slacks(serve: Any, kind: str, status: int, body: str) -> None:
    """A proxy's page, a list, a redirect to nowhere: never confirmed, and the check does not pass it as good."""

    async def wrong(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    slack = Slack.from_fields("slack/sre", {**FIELDS, "base_url": await serve(wrong)})
    assert not (await slack.post("r1", "x")).confirmed
    assert not (await slack.page("r1:x", "x")).confirmed
    with pytest.raises(ProviderUnavailable, match="slack/sre"):
        await slack.check_connection()


async def test_an_ok_without_a_place(serve: Any) -> None:
    """What cannot be pointed at counts as not posted."""

    async def vague(request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    slack = Slack.from_fields("slack/sre", {**FIELDS, "base_url": await serve(vague)})
    receipt = await slack.post("r1", "x")
    assert (receipt.confirmed, "not where the message stands" in receipt.detail) == (False, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(serve: Any, status: int) -> None:
    """Neither the token nor a message goes where an answer points, be it on the same host."""

    came: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        came.append(request.path)
        return web.Response(status=status, headers={"Location": "/there"})

    url = await serve(elsewhere)
    hook = {"webhook_url": f"{url}{HOOK}"}
    for fields in ({**FIELDS, "base_url": url}, hook):
        receipt = await Slack.from_fields("slack/sre", fields).post("r1", "x")
        assert (receipt.confirmed, "it redirects" in receipt.detail) == (False, True)
    assert "/there" not in came
    assert len(came) == 2


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"https_proxy": "http://proxy:1"}, "https://slack.com/api", "http://proxy:1"),
        ({"https_proxy": "proxy:1"}, "https://slack.com/api", "http://proxy:1"),
        ({"all_proxy": "http://proxy:1"}, "https://slack.com/api", "http://proxy:1"),
        ({"http_proxy": "http://proxy:1"}, "https://slack.com/api", None),
        ({"https_proxy": "http://proxy:1", "no_proxy": "slack.com"}, "https://slack.com/api", None),
        ({"https_proxy": "http://proxy:1", "no_proxy": "slack.com"}, "https://hooks.slack.com/x", None),
        ({"https_proxy": "http://proxy:1", "http_proxy": "http://proxy:1"}, "http://127.0.0.1:8/api", None),
        ({"https_proxy": "http://proxy:1"}, "https://localhost/api", None),
        ({}, "https://slack.com/api", None),
    ],
)
def test_which_proxy_is_taken(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's for that scheme, unless it says not for this host; for this machine none."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


async def test_a_proxy_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for a tunnel to Slack, and for nothing else; a server on this machine is reached without it."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy, slack_server() as server:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        away = Slack.from_fields("slack/sre", {**FIELDS, "base_url": "https://slack.invalid/api"})
        assert not (await away.post("r1", "x")).confirmed
        assert (await Slack.from_fields("slack/sre", server.fields()).post("r1", "x")).confirmed
    assert [request.split()[:2] for request in asked] == [["CONNECT", "slack.invalid:443"]]
    assert TOKEN not in asked[0]
