"""The rules of the one HTTP client: mapped failures, hidden secrets, no credential to another host."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx
import pytest
from aiohttp import web

from canary.blocks.http import Credential, Http, NothingListens, Rejected, bearer, shown_url, within
from canary.errors import CredentialError, ProviderError, ProviderUnavailable

SECRET = "t0p-s3cret"
AS = bearer("token", SECRET)


@pytest.fixture
async def http() -> Any:
    """A client whose secret is known, closed at the end."""
    client = Http("flags/docflow", [SECRET])
    yield client
    await client.close()


def _answer(status: int, text: str, **headers: str) -> Any:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return handle


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, Rejected),
        (404, Rejected),
        (409, Rejected),
        (302, ProviderError),
        (401, CredentialError),
        (403, CredentialError),
        (408, ProviderUnavailable),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
async def test_each_status_is_mapped(http: Http, serve: Any, status: int, raised: type[Exception]) -> None:
    """A refusal is a ProviderError, a bad credential a CredentialError, a platform in trouble is unavailable."""
    url = await serve(_answer(status, '{"error": {"message": "the words of the platform"}}'))
    with pytest.raises(raised) as error:
        await http.ask("GET", f"{url}/flags", as_=AS)
    assert type(error.value) is raised
    assert f"answered {status}: the words of the platform" in str(error.value)
    assert "flags/docflow" in str(error.value)


async def test_a_bad_credential_names_its_field(http: Http, serve: Any) -> None:
    """Whoever reads the error knows which field of which block to correct."""
    url = await serve(_answer(401, "no"))
    with pytest.raises(CredentialError) as error:
        await http.ask("GET", url, as_=AS)
    assert (error.value.block, error.value.field) == ("flags/docflow", "token")


async def test_an_echoed_secret_is_hidden(http: Http, serve: Any) -> None:
    """A platform that repeats the token in its message does not bring it into the error; long words are cut."""
    url = await serve(_answer(400, f"bad token {SECRET}\n" + "x" * 5000))
    with pytest.raises(ProviderError) as error:
        await http.ask("GET", url, as_=AS)
    assert SECRET not in str(error.value)
    assert "bad token *** xxx" in str(error.value)
    assert len(error.value.what) < 450


@pytest.mark.parametrize("header", ["x-vercel-id", "fly-request-id"])
async def test_the_platforms_id_of_the_request_is_told(http: Http, serve: Any, header: str) -> None:
    """Support asks for it; it is cleaned as the message is."""
    url = await serve(_answer(409, "no", **{header: f"fra1::{SECRET}-7"}))
    with pytest.raises(ProviderError, match=rf"answered 409: no \({header}: fra1::\*\*\*-7\)"):
        await http.ask("GET", url, as_=AS)


@pytest.mark.parametrize(("after", "said"), [("7", "try again in 7 s;"), ("Wed, 21 Oct 2026 07:28:00 GMT", "again;")])
async def test_when_to_come_back_is_told(http: Http, serve: Any, after: str, said: str) -> None:
    """Seconds as the platform gives them; a date is not worth a clock."""
    url = await serve(_answer(429, "too many", **{"Retry-After": after}))
    with pytest.raises(ProviderUnavailable) as error:
        await http.ask("GET", url, as_=AS)
    assert said in error.value.fix


async def test_no_json_is_no_usable_answer(http: Http, serve: Any) -> None:
    """A 200 with a login page is not an answer of the API."""
    url = await serve(_answer(200, "<html>log in</html>"))
    with pytest.raises(ProviderUnavailable, match="no JSON: <html>log in"):
        await http.ask("GET", url)


async def test_a_redirect_is_not_followed(http: Http, serve: Any) -> None:
    """The token goes to no other server, whatever the first one says."""
    asked: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.json_response({})

    other = await serve(elsewhere)
    url = await serve(_answer(302, "", Location=other))
    with pytest.raises(ProviderError, match="302"):
        await http.ask("GET", url, as_=AS)
    assert asked == []


async def test_nothing_listens_is_told_apart(http: Http, closed_port: int) -> None:
    """A refused connection is its own kind of silence."""
    with pytest.raises(NothingListens):
        await http.send("GET", f"http://127.0.0.1:{closed_port}/")


async def test_the_deadline_covers_the_body(http: Http, serve: Any) -> None:
    """A server that answers drop by drop is given up at the deadline, not at each drop's own time-out."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    url = await serve(drip)
    with pytest.raises(ProviderUnavailable, match=r"no answer within 0.3 s"):
        await http.send("GET", url, deadline=0.3)


async def test_the_body_is_limited(http: Http, serve: Any) -> None:
    """A body without end is read up to the limit, and known not to be whole."""
    url = await serve(_answer(200, "x" * 5000))
    answer = await http.send("GET", url, limit=1000)
    assert (len(answer.body), answer.whole) == (1000, False)


async def test_it_opens_again_after_close(http: Http, serve: Any) -> None:
    """A request after close works: a late rollback is never refused by our own client."""
    url = await serve(_answer(200, "1"))
    await http.close()
    assert await http.ask("GET", url) == 1


RAISED = [
    error("boom " + SECRET)
    for error in (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ReadTimeout,
        httpx.PoolTimeout,
        httpx.ReadError,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.UnsupportedProtocol,
        httpx.ProxyError,
        httpx.TooManyRedirects,
        httpx.DecodingError,
        httpx.InvalidURL,
        httpx.StreamError,
    )
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_no_httpx_exception_escapes(http: Http, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever httpx raises becomes ProviderUnavailable, without the secret and without the cause's text."""

    async def send(*_: object, **__: object) -> httpx.Response:
        raise error

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    with pytest.raises(ProviderUnavailable) as raised:
        await http.ask("GET", "http://127.0.0.1:1/")
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("value", ["line\nbreak-" + SECRET, "ümlaut-" + SECRET])
async def test_an_impossible_header_tells_nothing(http: Http, closed_port: int, value: str) -> None:
    """A header that HTTP cannot carry fails without being quoted."""
    url = f"http://127.0.0.1:{closed_port}/"
    with pytest.raises(ProviderUnavailable) as error:
        await Http("probe").send("GET", url, as_=Credential("headers", {"x-token": value}))
    assert SECRET not in str(error.value)


async def test_a_broken_connection_is_unavailable(http: Http, serve: Any, misbehaviour: Any) -> None:
    """A server that closes in the middle has given no usable answer."""

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(ProviderUnavailable, match=r"RemoteProtocolError|ReadError"):
        await http.ask("GET", await serve(handle))


async def test_tls_is_verified(http: Http) -> None:
    """The client checks certificates and names."""
    client = http._open()
    transport = client._transport
    context = transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_within_maps_the_deadline() -> None:
    """A verb that takes too long is ProviderUnavailable, with the verb's name."""
    with pytest.raises(ProviderUnavailable, match=r"flags/x: read: no answer within 0.01 s"):
        async with within(0.01, "flags/x: read"):
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://user:{SECRET}@host.example:8443/a/b?token={SECRET}#x", "https://host.example:8443/a/b"),
        ("http://host.example/", "http://host.example/"),
        ("http://[::bad", "(not a URL)"),
    ],
)
def test_a_shown_url_holds_no_secret(url: str, shown: str) -> None:
    """User info, query and fragment are left out."""
    assert shown_url(url) == shown
