"""Messages and pages in Slack: one thread per rollout, and a new message for whoever must wake up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from canary.blocks.base import CanaryBlock, MaybeSecret, Url
from canary.blocks.hiding import SHORTEST, Hider
from canary.blocks.slack_calls import Asked, Line
from canary.blocks.slack_wire import WEBHOOK_PATH, Place, SlackRefusal, addressed, private
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Receipt

OnCall = Annotated[str, Field(pattern=r"^[SUW][A-Z0-9]{2,30}$")]


class Slack(CanaryBlock):
    """Slack by an app's bot token, which confirms what it posted; or by an incoming webhook, which cannot.

    Through a webhook there are no threads, and no receipt is confirmed: it answers ok whoever can see the channel.
    """

    _block_type_name = "Canary: Slack"
    _block_type_slug = "slack"
    _description = "Tells a Slack channel how a rollout goes, in one thread per rollout, and pages whoever is on call."

    token: MaybeSecret = Field(
        default=None, description="Bot token of a Slack app (xoxb-…) with the scope chat:write. Needs the channel."
    )
    channel: str = Field(
        default="", description="Id of the channel (C…), from the foot of its details in Slack. Only with a token."
    )
    webhook_url: MaybeSecret = Field(
        default=None, description="Instead of a token: the URL of an incoming webhook. Its posts have no threads."
    )
    oncall: tuple[OnCall, ...] = Field(
        default=(), description="Who is mentioned in pages: user group ids (S…) or member ids (U…)."
    )
    base_url: Url = Field(default="https://slack.com/api", description="Slack's Web API. Leave it as it is.")

    _line: Line = PrivateAttr()
    _hider: Hider = PrivateAttr()
    _paged: set[str] = PrivateAttr(default_factory=set)

    @field_validator("channel")
    @classmethod
    def _an_id(cls, value: str) -> str:
        if value and not re.fullmatch(r"[CGD][A-Z0-9]{2,30}", value):
            raise ValueError("write the channel's id, such as C024BE91L: a name may change")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _a_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        url = _plain(value)
        if url and not (re.fullmatch(rf"https?://[^\s/?#@]+{WEBHOOK_PATH}[\w/-]+", url) and private(url)):
            raise ValueError("copy the webhook's URL from the app's settings: https://hooks.slack.com/services/…")
        return value

    @field_validator("base_url")
    @classmethod
    def _kept_from_others(cls, value: str) -> str:
        if not private(value):
            raise ValueError("the token must not travel in clear: write https://, or http:// on this machine")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.token) == bool(self.webhook_url):
            raise ValueError("token: give either a bot token with its channel, or a webhook_url")
        if bool(self.channel) != bool(self.token):
            raise ValueError("channel: a token needs the channel's id; a webhook has its own, and takes none")
        return self

    def open(self) -> None:
        """Know the way."""
        webhook = _plain(self.webhook_url)
        # The parts of its path are the webhook's password, each of them said alone, too.
        parts = [part for part in webhook.split("/")[4:] if len(part) >= SHORTEST]
        self._hider = Hider([_plain(self.token), webhook, *parts])
        self._line = Line(self.ref, self._clock, webhook or self.base_url, self._hider)

    async def check_connection(self) -> None:
        """Whether the token is good and the channel can be written to, as far as that shows without posting.

        Of a webhook nothing can be asked. Raises CredentialError with Slack's word; ProviderError without an answer.
        """
        if not self.token:
            return
        try:
            scopes = await self._known()
            await self._may_write(scopes)
        except SlackRefusal as error:
            if error.field:
                raise CredentialError(self.ref, error.field, error.what) from None
            raise

    async def check_paging(self) -> None:
        """Raises CredentialError when a page would mention nobody."""
        if not self.oncall:
            raise CredentialError(self.ref, "oncall", "a page would wake nobody: name user groups (S…) or members (U…)")

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        """Into the rollout's thread; without its `ref` the message begins one. The receipt's `ref` is the thread's.

        Delivered twice when an answer was lost and it is told again: Slack has no documented key against that.
        """
        place = Place.parse(ref)
        text = addressed(mentions, message if place and self.token else f"[{thread}] {message}")
        try:
            if not self.token:
                return await self._through_the_webhook(text)
            new = await self._message(text, place)
        except ProviderError as error:
            return Receipt(self.ref, confirmed=False, detail=error.what, ref=ref)
        return Receipt(self.ref, confirmed=True, detail="posted", ref=str(place or new))

    async def page(self, incident: str, summary: str) -> Receipt:
        """A message of its own that mentions whoever is on call; one about the same incident says it is a reminder.

        Confirmed when Slack has the message and somebody is mentioned in it.
        """
        again = " Reminder:" if incident in self._paged else ""
        text = addressed(self.oncall, f"[{incident}] {summary}", f"*PAGE*{again}")
        try:
            if self.token:
                await self._message(text, None)
                receipt = Receipt(self.ref, confirmed=bool(self.oncall), detail=self._mentioned())
            else:
                receipt = await self._through_the_webhook(text)
        except ProviderError as error:
            return Receipt(self.ref, confirmed=False, detail=error.what)
        self._paged.add(incident)
        return receipt

    async def close(self) -> None:
        """Nothing to close: no connection outlives its message."""

    async def _known(self) -> str | None:
        """The token's scopes, comma separated, or None when Slack does not say.

        Source: https://docs.slack.dev/reference/methods/auth.test; the header is in
        https://docs.slack.dev/authentication/installing-with-oauth.
        """
        answer = await self._ask(lambda slack: slack.auth_test())
        scopes: str | None = answer.headers.get("x-oauth-scopes")
        if scopes is not None and "chat:write" not in _words(scopes):
            raise SlackRefusal("missing_scope")
        return scopes

    async def _may_write(self, scopes: str | None) -> None:
        """Source: https://docs.slack.dev/reference/methods/conversations.info. A token may lack the scope to ask."""
        try:
            answer = await self._ask(lambda slack: slack.conversations_info(channel=self.channel))
        except SlackRefusal as error:
            if error.word == "missing_scope":
                return
            raise
        found = answer.get("channel")
        if not isinstance(found, dict):
            return
        if found.get("is_archived"):
            raise SlackRefusal("is_archived")
        if found.get("is_member") is False and "chat:write.public" not in _words(scopes or ""):
            raise SlackRefusal("not_in_channel")

    async def _message(self, text: str, thread: Place | None) -> Place:
        """Where the message stands now. Source: https://docs.slack.dev/reference/methods/chat.postMessage."""
        said = await self._ask(
            lambda slack: slack.chat_postMessage(
                channel=thread.channel if thread else self.channel,
                thread_ts=thread.ts if thread else None,
                text=text,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        place = Place.parse(f"{said.get('channel')}:{said.get('ts')}")
        if place is None or self._hider.holds(str(place)):
            raise ProviderUnavailable(f"{self.ref}: Slack says ok, and not where the message stands", "look there")
        return place

    async def _through_the_webhook(self, text: str) -> Receipt:
        await self._line.webhook(text)
        return Receipt(self.ref, confirmed=False, detail="sent; a webhook does not tell whether anybody can see it")

    async def _ask(self, asked: Asked) -> AsyncSlackResponse:
        return await self._line.api(_plain(self.token), asked)

    def _mentioned(self) -> str:
        return "posted" if self.oncall else "posted, but the block's field oncall is empty: nobody was mentioned"


def _plain(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _words(scopes: str) -> list[str]:
    return [scope.strip() for scope in scopes.split(",")]
