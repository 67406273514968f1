"""The one way in which adapters speak HTTP, but for Slack, which has an SDK.

Rules: TLS is verified; no redirect is followed, so no credential travels to another host; every request has a
total deadline (body included) and a limit on the body; nothing that httpx raises leaves this module, not even as the
context of an error; no error holds a secret, a query string or a user-info part of a URL.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from canary.blocks.hiding import Hider
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import NOTHING

DEADLINE = 6.0
"""Seconds that one verb of a port may take; the guard's timing rests on it."""
CONNECT = 2.0
"""Seconds for a connection to be made."""
BODY_LIMIT = 10 * 2**20
"""Bytes of a body that are read."""
SHOWN = 300
"""Characters of a provider's own message that an error repeats."""
REQUEST_IDS = ("fly-request-id", "x-vercel-id")
"""Headers by which a vendor's support finds a request again; an error repeats them."""

NO_JSON = object()


class NothingListens(ProviderUnavailable):
    """The connection was refused: the host is there, and no server behind that port."""


class Rejected(ProviderError):
    """The platform answered with a status that is neither good nor worth another try; `status` is it."""

    def __init__(self, status: int, what: str, fix: str) -> None:
        self.status = status
        super().__init__(what, fix)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: any status, lower-case header names, the body up to the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 become �."""
        return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class Credential:
    """Headers that prove who asks. `of` is the field of the block they come from."""

    of: str
    headers: Mapping[str, str] = field(repr=False)


OPEN = Credential("url", NOTHING)
"""For servers that ask nobody who they are."""


def bearer(field_name: str, token: str) -> Credential:
    """The usual `Authorization: Bearer …` header."""
    return Credential(field_name, {"authorization": f"Bearer {token}"})


def shown_url(url: str) -> str:
    """The URL without user info, query and fragment, which may hold secrets."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return "(not a URL)"
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.host}{port}{parts.path}"


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[asyncio.TaskGroup]:
    """Raises ProviderUnavailable when the body takes longer than that many seconds.

    Requests side by side go into the task group: the first failure comes out as itself, and ends the others.
    """
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            yield group
        return
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    except TimeoutError:
        failure = ProviderUnavailable(
            f"{what}: no answer within {seconds:g} s",
            "look whether the platform is up and reachable from here; whether a change was made is not known",
        )
    # Outside of the handlers: raised inside, the failure would have its own group as its context.
    raise failure


@cache
def tls() -> ssl.SSLContext:
    """Whom to trust: the same for every adapter."""
    return httpx.create_ssl_context()


class Http:
    """An HTTP client that belongs to one block. `secrets` never appear in its errors."""

    def __init__(self, ref: str, secrets: Iterable[str] = ()) -> None:
        self.ref = ref
        self.hider = Hider(secrets)
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        as_: Credential = OPEN,
        deadline: float = DEADLINE,
        limit: int = BODY_LIMIT,
        named: str = "",
        **content: Any,
    ) -> Answer:
        """One request; any status is an answer. `content` is httpx's params, json or data.

        named: the URL that errors show, where a server has chosen the one that is asked.

        Raises ProviderUnavailable, as NothingListens when the connection was refused.
        """
        where = f"{self.ref}: {method} {shown_url(named or url)}"
        try:
            async with within(deadline, where):
                return await self._exchange(method, url, dict(as_.headers), limit, content)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            failure = self._unavailable(where, error)
        # Outside of the handler: what httpx raised can quote a header, and would be the failure's context.
        raise failure

    async def ask(self, method: str, url: str, **how: Any) -> Any:
        """The JSON document of a 2xx answer.

        Raises CredentialError (401, 403), ProviderError (another refusal) and ProviderUnavailable (no answer,
        408, 429, 5xx, or a 2xx whose body is no JSON).
        """
        answer = await self.send(method, url, **how)
        return self.document(answer, f"{method} {shown_url(url)}", how.get("as_", OPEN).of)

    async def text(self, method: str, url: str, **how: Any) -> str:
        """The body of a 2xx answer; raises as `ask` does."""
        answer = await self.send(method, url, **how)
        self.accept(answer, f"{method} {shown_url(url)}", how.get("as_", OPEN).of)
        return answer.text()

    def document(self, answer: Answer, where: str, field_name: str) -> Any:
        """The JSON of an answer that `send` gave; raises as `ask` does. field_name: where the credential is from."""
        self.accept(answer, where, field_name)
        said = _json(answer.text())
        if said is not NO_JSON:
            return said
        raise ProviderUnavailable(
            f"{self.ref}: {where} answered something that is no JSON: {self.hide(answer.text()) or '(nothing)'}",
            "check that the block's URL is the platform's API and not a page in front of it",
        )

    def hide(self, text: str) -> str:
        """The first 300 characters, on one line, every secret of the block replaced by ***."""
        return self.hider.shown(text, SHOWN)

    def no_echo(self, where: str, said: Iterable[str]) -> None:
        """Raises ProviderUnavailable when a part of an answer that will be told, such as an id, repeats a secret."""
        if self.hider.holds(" ".join(said)):
            raise ProviderUnavailable(
                f"{self.ref}: {where} was answered with a secret of this block where a name belongs",
                "check that the block's URL is the platform's API and not something in front that repeats requests",
            )

    async def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], limit: int, content: Mapping[str, Any]
    ) -> Answer:
        request = self._open().build_request(method, url, headers=headers, **content)
        response = await self._open().send(request, stream=True)
        try:
            body, whole = await _body(response, limit)
        finally:
            await response.aclose()
        return Answer(response.status_code, dict(response.headers), body, whole)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=tls(),
                follow_redirects=False,
                timeout=httpx.Timeout(DEADLINE, connect=CONNECT),
                # A proxy from the environment is for the world outside, never for this machine itself.
                mounts={"all://127.0.0.1": None, "all://localhost": None},
            )
        return self._client

    def _unavailable(self, where: str, error: Exception) -> ProviderUnavailable:
        if _refused(error):
            return NothingListens(f"{where}: connection refused", "start the server, or correct the block's URL")
        # Only connection errors are known to quote nothing that we sent.
        said = f" ({self.hide(str(error))})" if isinstance(error, httpx.ConnectError) else ""
        return ProviderUnavailable(
            f"{where}: no usable answer: {type(error).__name__}{said}",
            "look whether the platform is up and reachable from here, and whether the block's URL is right",
        )

    def accept(self, answer: Answer, where: str, field_name: str) -> None:
        """Raises as `ask` does for an answer of `where` that is not 2xx."""
        if 200 <= answer.status < 300:
            return
        said = (self.hide(_message(answer)) or "no message") + self._request_id(answer)
        if answer.status in (401, 403):
            raise CredentialError(self.ref, field_name, f"{where} answered {answer.status}: {said}")
        what = f"{self.ref}: {where} answered {answer.status}: {said}"
        if answer.status in (408, 429) or answer.status >= 500:
            again = f"try again{_after(answer)}"
            raise ProviderUnavailable(what, f"{again}; look at the platform's own status if it stays so")
        if 300 <= answer.status < 400:
            raise ProviderError(what, "put the address it redirects to into the block's URL")
        raise Rejected(answer.status, what, "the platform's own words say what it did not accept")

    def _request_id(self, answer: Answer) -> str:
        found = [f"{name}: {self.hide(answer.headers[name])}" for name in REQUEST_IDS if name in answer.headers]
        return f" ({', '.join(found)})" if found else ""


async def _body(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            return bytes(body[:limit]), False
    return bytes(body), True


def _after(answer: Answer) -> str:
    """When to come back, if the platform says so in seconds."""
    seconds = answer.headers.get("retry-after", "")
    return f" in {seconds} s" if seconds.isdigit() else ""


def _refused(error: BaseException) -> bool:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ConnectionRefusedError):
            return True
        if isinstance(link, BaseExceptionGroup):
            return all(_refused(inner) for inner in link.exceptions)
        link = link.__cause__ or link.__context__
    return False


def _json(text: str) -> Any:
    """The document, or NO_JSON; not raised, since the parser's error has the whole text in it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NO_JSON


def _message(answer: Answer) -> str:
    """The provider's words: the usual places in a JSON body, or the text as it is."""
    said = _json(answer.text())
    for key in ("error", "message", "detail"):
        found = said.get(key) if isinstance(said, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found:
            return found
    return answer.text()
