"""What Vercel can answer instead of what was asked, for every verb: mapped, in its own words, without a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.global_config import GlobalConfig
from canary.blocks.vercel import VercelProject
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Release
from canary.testing import global_config, vercel
from canary.testing.global_config import GlobalConfigs
from canary.testing.provider import Asked, Knobs, serving
from canary.testing.vercel import Vercel

RELEASE = Release("dpl_candidate", "dpl_stable")
FLAGS = Release('{"phase1_enabled":true}', '{"phase1_enabled":false}')
SECRETS = (vercel.TOKEN, vercel.BYPASS, global_config.TOKEN)


Answering = Callable[[web.Request], web.Response]


class Refusing:
    """A server that gives every request the same answer, and keeps what it was asked."""

    def __init__(self, answer: Answering) -> None:
        self.knobs = Knobs()
        self.log: list[Asked] = []
        self.url = ""
        self.answer = answer

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self._any)]

    def allows(self, request: web.Request) -> bool:
        return True

    def refusal(self, status: int, message: str) -> web.Response:
        return web.json_response({"error": {"message": message}}, status=status)

    async def _any(self, request: web.Request) -> web.Response:
        return self.answer(request)


def says(status: int, **headers: str) -> Answering:
    """Vercel's form of a refusal, which repeats the token, as a careless platform might."""

    def answer(request: web.Request) -> web.Response:
        error = {"code": "x", "message": f"the platform's words about {request.headers['Authorization']}"}
        told = {"x-vercel-id": "fra1::abc-42", **headers}
        return web.json_response({"error": error}, status=status, headers=told)

    return answer


Verb = Callable[[Any, Release], Awaitable[Any]]
VERBS: dict[str, Verb] = {
    "check_connection": lambda block, release: block.check_connection(),
    "prepare": lambda block, release: block.prepare(release),
    "observe": lambda block, release: block.observe(),
    "raise": lambda block, release: block.expose(release, 1.0, epoch=1),
    "lower": lambda block, release: block.expose(release, 0.0, epoch=1),
}
EVERY = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
BOTH = pytest.mark.parametrize("kind", ["vercel", "global-config"])


@asynccontextmanager
async def opened(kind: str, url: str) -> AsyncIterator[tuple[VercelProject | GlobalConfig, Release]]:
    block: VercelProject | GlobalConfig
    if kind == "vercel":
        block, release = VercelProject.from_fields("vercel/docflow", {**Vercel().fields(), "url": url}), RELEASE
    else:
        fields = {**GlobalConfigs().fields(), "url": url}
        block, release = GlobalConfig.from_fields("global-config/docflow", fields), FLAGS
    try:
        yield block, release
    finally:
        await block.close()


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, ProviderError),
        (401, CredentialError),
        (402, ProviderError),
        (403, CredentialError),
        (404, ProviderError),
        (409, ProviderError),
        (412, ProviderError),
        (422, ProviderError),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
@BOTH
@EVERY
async def test_each_status(kind: str, verb: Verb, status: int, raised: type[Exception]) -> None:
    """One of our errors, with the platform's words and the id it gave the request, and without a secret."""
    server = Refusing(says(status, **({"Retry-After": "7"} if status == 429 else {})))
    async with serving(server) as url, opened(kind, url) as (block, release):
        with pytest.raises((ProviderError, CredentialError)) as error:
            await verb(block, release)
        verified = await block.verify(release, 1.0)
    # A read that answers 404 tells that the thing is not there, in our words.
    if status != 404:
        assert isinstance(error.value, raised)
        assert isinstance(error.value, ProviderUnavailable) is (raised is ProviderUnavailable)
        assert f"answered {status}: the platform's words about" in str(error.value)
        assert "(x-vercel-id: fra1::abc-42)" in str(error.value)
    assert ("try again in 7 s" in str(error.value)) == (status == 429)
    assert verified.answer == "cannot tell"
    assert not any(secret in f"{error.value} {verified.detail}" for secret in SECRETS)


def _page(request: web.Request) -> web.Response:
    return web.Response(text="<html>Checking your browser…</html>", content_type="text/html")


def _empty(request: web.Request) -> web.Response:
    return web.Response(status=201)


def _nothing_known(request: web.Request) -> web.Response:
    return web.json_response({"surprise": [1]})


def _a_list(request: web.Request) -> web.Response:
    return web.json_response([1, 2])


@pytest.mark.parametrize("answer", [_page, _nothing_known, _a_list], ids=lambda answer: answer.__name__)
@BOTH
async def test_an_answer_that_is_none(kind: str, answer: Answering) -> None:
    """A page, or JSON of something else, in place of what was asked for: nothing is known, and nothing crashes."""
    server = Refusing(answer)
    async with serving(server) as url, opened(kind, url) as (block, release):
        for name in ("check_connection", "prepare", "observe", "raise"):
            # Setting items is confirmed by any JSON: whether it holds is for the read behind it to tell.
            if (kind, name) == ("global-config", "raise") and answer is not _page:
                continue
            with pytest.raises(ProviderError):
                await VERBS[name](block, release)
        assert (await block.verify(release, 0.0)).answer == "cannot tell"


@pytest.mark.parametrize("status", [200, 201])
async def test_a_rollback_answered_by_a_page(status: int) -> None:
    """A proxy's page is no accepted rollback, whatever its status."""

    def page(request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>log in</html>", content_type="text/html")

    async with serving(Refusing(page)) as url, opened("vercel", url) as (block, release):
        with pytest.raises(ProviderUnavailable, match=r"rollback/dpl_stable answered something that is no JSON"):
            await block.expose(release, 0.0, epoch=1)


async def test_an_empty_answer_accepts_a_rollback() -> None:
    """201 with nothing and no content type is how Vercel accepts; that looks fail then does not make it a failure."""
    async with serving(Refusing(_empty)) as url, opened("vercel", url) as (block, release):
        await block.expose(release, 0.0, epoch=1)
        assert (await block.verify(release, 0.0)).answer == "cannot tell"


@pytest.mark.parametrize("knobs", [Knobs(down=True), Knobs(huge=True), Knobs(html=True)], ids=["cut", "huge", "html"])
@BOTH
@EVERY
async def test_no_usable_answer(kind: str, verb: Verb, knobs: Knobs) -> None:
    """A connection that breaks, 11 MiB of nothing, a page: unavailable."""
    server = Vercel() if kind == "vercel" else GlobalConfigs()
    server.knobs = knobs
    async with serving(server) as url, opened(kind, url) as (block, release):
        with pytest.raises(ProviderUnavailable):
            await verb(block, release)
        assert (await block.verify(release, 0.0)).answer == "cannot tell"


@BOTH
@EVERY
async def test_a_redirect_takes_no_token_along(kind: str, verb: Verb) -> None:
    """The other host is never asked."""
    other = Refusing(_empty)
    server = Vercel() if kind == "vercel" else GlobalConfigs()
    async with serving(other) as elsewhere, serving(server) as url, opened(kind, url) as (block, release):
        server.knobs.redirects_to = elsewhere
        with pytest.raises(ProviderError, match="302"):
            await verb(block, release)
    assert server.log
    assert other.log == []


@BOTH
async def test_a_slow_platform_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb ends at its deadline, whatever the platform does."""
    monkeypatch.setattr("canary.blocks.vercel.DEADLINE", 0.2)
    monkeypatch.setattr("canary.blocks.global_config.DEADLINE", 0.2)
    server = Vercel() if kind == "vercel" else GlobalConfigs()
    server.knobs.slow_seconds = 30.0
    async with serving(server) as url, opened(kind, url) as (block, release):
        for name in ("check_connection", "observe", "raise", "lower"):
            with pytest.raises(ProviderUnavailable, match=r"no answer within 0.2 s"):
                await VERBS[name](block, release)
        assert (await block.verify(release, 0.0)).answer == "cannot tell"
