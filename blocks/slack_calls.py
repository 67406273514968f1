"""Slack by its own SDK, inside our limits: one deadline, our clock, no redirect, no second delivery, nothing logged.

Left to itself slack_sdk waits for a rate limit as long as it is told to, sends a message again when its connection
broke, follows redirects, takes HTTPS_PROXY whatever NO_PROXY says, and logs a webhook's address, its password.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from canary.blocks.hiding import Hider
from canary.blocks.http import tls, within
from canary.blocks.slack_wire import SlackRefusal, loopback
from canary.errors import ProviderError, ProviderUnavailable
from canary.ports import Clock
from canary.rollout.waiting import PROVIDER_TIMEOUT

T = TypeVar("T")
Asked = Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]

DEADLINE = PROVIDER_TIMEOUT - 0.5
"""Seconds that one message may take, waits for the rate limit included: the desk gives up half a second later."""
LEAST_WAIT = 0.5
"""Seconds between two tries, though Slack should ask for less."""
LOOK = "look at https://slack-status.com"
# Known to no registry: no logging set-up, the root logger's level included, can switch it on.
MUTE = logging.Logger("slack_sdk", logging.CRITICAL + 1)


class Patience(AsyncRateLimitErrorRetryHandler):
    """The SDK's way to obey a rate limit, by our clock, for as long as the wait fits into the deadline."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(max_retry_count=int(DEADLINE / LEAST_WAIT))
        self._clock = clock
        self._ends = clock.monotonic() + DEADLINE

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        limited = await super()._can_retry_async(state=state, request=request, response=response, error=error)
        return limited and response is not None and self._fits(_wait(response.headers))

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        state.next_attempt_requested = True
        await self._clock.sleep(_wait(response.headers if response else {}))
        state.increment_current_attempt()

    def _fits(self, seconds: float) -> bool:
        return self._clock.monotonic() + seconds < self._ends


class Line:
    """How one block reaches Slack: `url` is the Web API's, or a webhook, and then secret. Holds nothing open."""

    def __init__(self, ref: str, clock: Clock, url: str, hider: Hider) -> None:
        self._ref, self._clock, self._url, self._hider = ref, clock, url, hider
        self._host = urlsplit(url).netloc

    async def api(self, token: str, ask: Asked) -> AsyncSlackResponse:
        """The Web API's answer, which says `ok`. Raises SlackRefusal, ProviderUnavailable.

        Source: https://docs.slack.dev/apis/web-api/ (HTTP 200 with `ok`, and `error` when it is false).
        """

        async def talk(session: aiohttp.ClientSession) -> object:
            client = AsyncWebClient(token, self._url, session=session, **self._how())
            client.proxy = proxy_for(self._url)
            try:
                return await ask(client)
            except SlackApiError as error:
                return error.response

        return self._accepted(await self._within_limits(talk))

    async def webhook(self, text: str) -> None:
        """Hand the text over to the webhook. Raises SlackRefusal, ProviderUnavailable.

        Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (a word as plain text).
        """

        async def talk(session: aiohttp.ClientSession) -> WebhookResponse:
            client = AsyncWebhookClient(self._url, session=session, **self._how())
            client.proxy = proxy_for(self._url)
            return await client.send(text=text)

        answer = await self._within_limits(talk)
        self._not_limited(answer.status_code, answer.headers)
        if answer.status_code != 200:
            raise self._refusal(answer.body.strip())

    def _how(self) -> dict[str, Any]:
        return {"ssl": tls(), "logger": MUTE, "retry_handlers": [Patience(self._clock)]}

    async def _within_limits(self, talk: Callable[[aiohttp.ClientSession], Awaitable[T]]) -> T:
        """Raises ProviderError alone. What the SDK and aiohttp raise can hold the address and all headers, so that
        nothing of theirs may become the context of what is raised."""
        async with within(DEADLINE, f"{self._ref}: {self._host}"), _session() as session:
            try:
                return await talk(session)
            except Exception as error:
                failure = self._unavailable(error)
            raise failure

    def _unavailable(self, error: Exception) -> ProviderUnavailable:
        where, kind = f"{self._ref}: no usable answer from {self._host}", type(error).__name__
        if isinstance(error, _Redirected):
            return ProviderUnavailable(f"{where}: it redirects, and nothing secret is sent elsewhere", LOOK)
        if not isinstance(error, aiohttp.ClientError | OSError):
            return ProviderUnavailable(f"{where}: it does not read as one of Slack's ({kind})", LOOK)
        # Only this one is known to quote nothing that we sent.
        said = f" ({error})" if isinstance(error, aiohttp.ClientConnectorError) else ""
        return ProviderUnavailable(f"{where}: {kind}{said}", LOOK)

    def _accepted(self, answer: object) -> AsyncSlackResponse:
        if isinstance(answer, AsyncSlackResponse):
            self._not_limited(answer.status_code, answer.headers)
            said: Mapping[str, Any] = answer.data if isinstance(answer.data, dict) else {}
            if said.get("ok") is True and answer.status_code == 200:
                return answer
            if said.get("ok") is False:
                raise self._refusal(str(said.get("error", "")))
        raise ProviderUnavailable(
            f"{self._ref}: what {self._host} answers is none of Slack's Web API",
            f"check that the block's base_url is Slack's API; {LOOK}",
        )

    def _refusal(self, word: str) -> SlackRefusal:
        """Who stands in Slack's place can say the token, or the webhook's last word, for an error word."""
        return SlackRefusal("" if self._hider.holds(word) else word)

    def _not_limited(self, status: int, headers: Mapping[str, Any]) -> None:
        if status == 429:
            asked = _wait(headers)
            raise ProviderUnavailable(
                f"{self._ref}: Slack limits the rate and asks to wait {asked:g} s; a message may take {DEADLINE:g} s",
                "tell fewer things in this channel",
            )


def proxy_for(url: str) -> str | None:
    """The environment's proxy for an address, as the other blocks take it: never for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


class _Redirected(ProviderError):
    """The answer points elsewhere."""


async def _refuse(
    session: aiohttp.ClientSession, _: SimpleNamespace, found: aiohttp.TraceRequestRedirectParams
) -> NoReturn:
    found.response.close()
    raise _Redirected("redirected")


def _session() -> aiohttp.ClientSession:
    """For one message, so that none is lost on a connection that has died meanwhile. The SDK cannot be told to follow
    no redirect; aiohttp tells before it does, and may be stopped."""
    watch = aiohttp.TraceConfig()
    watch.on_request_redirect.append(_refuse)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), trace_configs=[watch])


def _wait(headers: Mapping[str, str | list[str]]) -> float:
    """Seconds that Slack asks to wait, or for ever when it does not say.

    Source: https://docs.slack.dev/apis/web-api/rate-limits (429 with Retry-After in seconds).
    """
    said = "".join(next((said for name, said in headers.items() if name.lower() == "retry-after"), ""))
    return max(LEAST_WAIT, float(said)) if re.fullmatch(r"\d{1,6}", said) else float("inf")
