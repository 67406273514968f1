"""Slack's wire, as far as messages need it: the Web API's answers, rate limits, escaping, and what its errors mean.

Sources: https://docs.slack.dev/apis/web-api/ (HTTP 200 with `ok`, and `error` when it is false),
https://docs.slack.dev/apis/web-api/rate-limits (429 with Retry-After in seconds),
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (plain-text answers, 403, 404 and 410).
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from canary.blocks.http import OPEN, Answer, Credential, Http
from canary.errors import ProviderError, ProviderUnavailable
from canary.ports import Clock
from canary.rollout.waiting import PROVIDER_TIMEOUT

DEADLINE = PROVIDER_TIMEOUT - 0.5
"""Seconds that one message may take, waits for the rate limit included: the desk gives up half a second later."""
LONGEST = 40_000
"""Characters of a message's text; Slack cuts what is longer. https://docs.slack.dev/reference/methods/chat.postMessage"""
CUT = " … (cut: too long for Slack; the whole text is in the journal)"
WEBHOOK_PATH = "/services/"
ADVICE: Mapping[str, tuple[str, str]] = {
    "invalid_auth": ("token", "copy the Bot User OAuth Token (xoxb-…) of the app anew"),
    "not_authed": ("token", "copy the Bot User OAuth Token (xoxb-…) of the app into the block"),
    "account_inactive": ("token", "the app was removed from the workspace: install it again, and copy its new token"),
    "token_revoked": ("token", "the token was revoked: install the app again, and copy its new token"),
    "token_expired": ("token", "the token has expired: switch token rotation off for the app, and copy its new token"),
    "missing_scope": ("token", "add the bot scope chat:write to the app, install it again, and copy its new token"),
    "channel_not_found": (
        "channel",
        "copy the id (C…) from the channel's details; into a private channel the app must be invited first",
    ),
    "not_in_channel": ("channel", "invite the app: type /invite and its name in the channel"),
    "is_archived": ("channel", "the channel is archived: bring it back, or name another"),
    "restricted_action": ("channel", "the workspace lets only some people post there: ask its admins, or name another"),
    "invalid_token": ("webhook_url", "the webhook is gone: make a new one in the app, and copy its URL"),
    "no_service": ("webhook_url", "the webhook is switched off or gone: make a new one in the app, and copy its URL"),
    "no_team": ("webhook_url", "the webhook's workspace is gone: copy the URL anew"),
    "action_prohibited": ("webhook_url", "an admin has restricted the webhook: ask them, or use a bot token"),
    "channel_is_archived": ("webhook_url", "its channel is archived: bring it back, or make a webhook for another"),
}
"""Slack's error word → the field of the block that it is about, and what to do."""


class SlackRefusal(ProviderError):
    """Slack answered, and refused; `word` is its error word, `field` the block's field it is about, or ""."""

    def __init__(self, word: str) -> None:
        self.word = word if re.fullmatch(r"[a-z0-9_:]{1,80}", word) else "something that is no error word"
        self.field, advice = ADVICE.get(self.word, ("", "look the word up at https://docs.slack.dev"))
        super().__init__(f"Slack says {self.word}: {advice}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands: its channel's id and its time stamp, which is Slack's name for it."""

    channel: str
    ts: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}"

    @classmethod
    def parse(cls, ref: str) -> Place | None:
        """None for what is no place in Slack."""
        found = re.fullmatch(r"([A-Z][A-Z0-9]+):(\d+\.\d+)", ref)
        return cls(*found.groups()) if found else None


def escaped(text: str, room: int = LONGEST) -> str:
    """Text that Slack shows as it is, at most `room` characters, saying so when it was cut.

    Source: https://docs.slack.dev/messaging/formatting-message-text (escape &, < and >, and nothing else).
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") or "(nothing)"
    if len(safe) <= room:
        return safe
    return re.sub(r"&[a-z]{0,3}$", "", safe[: room - len(CUT)]) + CUT


def private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


async def send(http: Http, clock: Clock, url: str, as_: Credential = OPEN, **content: Any) -> Answer:
    """One POST. A rate limit is waited for as long as that fits into `DEADLINE`; any other status is an answer.

    Raises ProviderUnavailable, in words that hold no secret: a webhook's address is one.
    """
    ends = clock.monotonic() + DEADLINE
    while True:
        left = max(0.01, ends - clock.monotonic())
        try:
            answer = await http.send("POST", url, as_=as_, deadline=left, **content)
        except ProviderUnavailable as error:
            raise ProviderUnavailable(http.hide(error.what), "look at https://slack-status.com") from None
        if answer.status != 429:
            return answer
        wait = _retry_after(answer)
        if clock.monotonic() + wait >= ends:
            raise ProviderUnavailable(
                f"{http.ref}: Slack limits the rate and asks to wait {wait:g} s; a message may take {DEADLINE:g} s",
                "tell fewer things in this channel",
            )
        await clock.sleep(wait)


def _retry_after(answer: Answer) -> float:
    """Seconds, at least a half; for ever when Slack does not say."""
    said = answer.headers.get("retry-after", "")
    return max(0.5, float(said)) if re.fullmatch(r"\d{1,6}", said) else float("inf")


def accepted(ref: str, answer: Answer) -> Mapping[str, Any]:
    """The JSON of an answer of the Web API that says `ok`.

    Raises SlackRefusal, and ProviderUnavailable for what is no answer of Slack's.
    """
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if isinstance(said, dict) and said.get("ok") is True and answer.status == 200:
        return said
    if isinstance(said, dict) and said.get("ok") is False:
        raise SlackRefusal(str(said.get("error", "")))
    raise ProviderUnavailable(
        f"{ref}: the answer ({answer.status}) is none of Slack's Web API",
        "check that the block's base_url is Slack's API; look at https://slack-status.com",
    )


class _Addresses(logging.Filter):
    """httpx logs the address of each request, and a webhook's address is its password."""

    def filter(self, record: logging.LogRecord) -> bool:
        return WEBHOOK_PATH not in record.getMessage()


logging.getLogger("httpx").addFilter(_Addresses())
