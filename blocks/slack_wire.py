"""Slack's words, as far as messages need them: escaping, mentions, places, and what its errors mean."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from canary.errors import ProviderError

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


def addressed(who: Sequence[str], text: str, head: str = "") -> str:
    """Text that mentions these user groups (S…) and members (U…), and nobody else, whatever it quotes.

    head: Slack's own markup before the text. Source:
    https://docs.slack.dev/messaging/formatting-message-text (mentioning groups and users).
    """
    before = "".join(f"{each} " for each in [*map(_mention, who), head] if each)
    return before + escaped(text, LONGEST - len(before))


def _mention(who: str) -> str:
    safe = escaped(who)
    return f"<!subteam^{safe}>" if safe.startswith("S") else f"<@{safe}>"


def private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or loopback(parts.hostname or "")


def loopback(host: str) -> bool:
    """Whether that is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
