"""HttpProbe and the fake pass the probe suite; redirects stay on the server that was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.probe import HttpProbe
from canary.errors import ProviderUnavailable
from canary.ports import Probe, Response
from canary.testing.fakes import FakeProbe
from canary.testing.probe import ProbeConformance

TOKEN = {"authorization": "Bearer s3cret"}


@dataclass
class Stage:
    """Addresses, and how a probe is made."""

    fine: str
    failing: str
    nobody: str
    fake: FakeProbe | None = None

    def open(self) -> Probe:
        return self.fake or HttpProbe()


class TestFakeProbe(ProbeConformance):
    """The fake."""

    @pytest.fixture
    def stage(self) -> Stage:
        fake = FakeProbe({"http://a/": Response(200, {"x-mood": "good"}, "fine"), "http://b/": Response(503, {}, "")})
        return Stage("http://a/", "http://b/", "http://c/", fake)


async def _page(request: web.Request) -> web.Response:
    if request.path == "/failing":
        return web.Response(status=503)
    return web.Response(text="fine", headers={"X-Mood": "good"})


class TestHttpProbe(ProbeConformance):
    """The adapter."""

    @pytest.fixture
    async def stage(self, serve: Any, closed_port: int) -> Stage:
        url = await serve(_page)
        return Stage(f"{url}/", f"{url}/failing", f"http://127.0.0.1:{closed_port}/")


@pytest.fixture
async def probe() -> Any:
    """A probe, closed at the end."""
    one = HttpProbe()
    yield one
    await one.close()


async def test_a_redirect_elsewhere_is_the_answer(probe: HttpProbe, serve: Any) -> None:
    """The headers are never sent to another server; the check sees the redirect itself."""
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    other = await serve(elsewhere)

    async def here(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{other}/login"})

    response = await probe.get(await serve(here), TOKEN)
    assert (response.status, response.headers["location"], asked) == (302, f"{other}/login", [])


async def test_a_redirect_on_the_same_server_is_followed(probe: HttpProbe, serve: Any) -> None:
    """A slash more is no other page; the headers go along."""

    async def here(request: web.Request) -> web.Response:
        if request.path == "/queue":
            return web.Response(status=308, headers={"Location": "/queue/"})
        return web.Response(text=f"{request.path} {request.headers['Authorization']}")

    assert (await probe.get(f"{await serve(here)}/queue", TOKEN)).body == "/queue/ Bearer s3cret"


async def test_a_circle_of_redirects_ends(probe: HttpProbe, serve: Any) -> None:
    """A server that sends the probe round and round gives no answer."""

    async def here(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/again"})

    with pytest.raises(ProviderUnavailable, match="redirects"):
        await probe.get(await serve(here), TOKEN)


async def test_a_huge_body_is_cut(probe: HttpProbe, serve: Any) -> None:
    """Ten megabytes are read, the rest is left."""

    async def here(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (11 * 2**20))

    assert len((await probe.get(await serve(here), {})).body) == 10 * 2**20


@pytest.mark.parametrize("url", ["", "no url", "ftp://x/", "http://", "http://[::bad/"])
async def test_what_is_no_url(probe: HttpProbe, url: str) -> None:
    """An address that leads nowhere is no answer, never another exception."""
    with pytest.raises(ProviderUnavailable):
        await probe.get(url, TOKEN)
