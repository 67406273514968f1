"""Slack: the notifier suite by token and by webhook, threads, mentions, rate limits, and what never gets out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from canary.blocks import slack_calls
from canary.blocks.clock import SystemClock
from canary.blocks.slack import Slack
from canary.blocks.slack_wire import CUT, LONGEST, SlackRefusal
from canary.errors import CredentialError, ProviderError
from canary.plan.kinds import KINDS, Kind
from canary.ports import Notifier
from canary.rollout.desk import Desk
from canary.testing.notifier import NotifierConformance
from canary.testing.slack import CHANNEL, HOOK, TOKEN, SlackServer, slack_server

SECRETS = (TOKEN, HOOK, "l0cal-h00k")
FIELDS = {"token": TOKEN, "channel": CHANNEL, "oncall": ["U0X"]}


class Impatient:
    """A clock that sleeps in no time: what was slept is added to the real one. For waits beside a real server."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.time() + sum(self.slept)

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Stage:
    """A Slack block on the local server."""

    kind: Kind = KINDS["slack"]

    def __init__(self, server: SlackServer, fields: dict[str, Any]) -> None:
        self.server, self.fields, self.clock = server, fields, Impatient()
        self.made: list[Slack] = []

    def open(self) -> Notifier:
        return self.block()

    def block(self, **fields: Any) -> Slack:
        self.made.append(Slack.from_fields("slack/sre", {**self.fields, **fields}, self.clock))
        return self.made[-1]

    def told(self) -> str:
        return "\n".join(told.shown for told in self.server.told)

    async def breaks(self) -> None:
        self.server.down()

    async def close(self) -> None:
        for each in self.made:
            await each.close()


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with slack_server() as slack:
        yield slack


@pytest.fixture
async def stage(server: SlackServer) -> AsyncIterator[Stage]:
    made = Stage(server, server.fields())
    yield made
    await made.close()


@pytest.fixture
async def hook(server: SlackServer) -> AsyncIterator[Stage]:
    made = Stage(server, server.webhook_fields())
    yield made
    await made.close()


class TestByToken(NotifierConformance):
    """The suite on a bot token."""


class TestByWebhook(NotifierConformance):
    """The suite on an incoming webhook."""

    @pytest.fixture
    async def stage(self, hook: Stage) -> Stage:
        return hook


# --- threads and pages --------------------------------------------------------------------------------------


async def test_a_rollout_has_one_thread_over_restarts(stage: Stage) -> None:
    """The first message names the rollout; another process that has its place goes on under it."""
    first = await stage.block().post("rollout-7", "started")
    second = await stage.block().post("rollout-7", "canary at 10 %", first.ref)
    assert first.ref == second.ref != ""
    assert list(stage.server.threads().values()) == [["[rollout-7] started", "canary at 10 %"]]


async def test_the_desks_of_two_processes_share_a_thread(stage: Stage) -> None:
    """What the first one journals is all that the second one needs to go on there."""
    journaled: list[Any] = []

    async def append(event: Any) -> None:
        journaled.append(event)

    for _ in range(2):
        threads = {event.route: event.ref for event in journaled}
        desk = Desk(SystemClock(), "rollout-7", {"slack/sre": stage.block()}, {}, append, threads)
        await desk.tell("one line")
        await desk.tell("another")
    assert list(stage.server.threads().values()) == [["[rollout-7] one line", "another", "one line", "another"]]
    assert len(journaled) == 1


async def test_two_rollouts_have_two_threads(stage: Stage) -> None:
    """Without a place a message begins a thread; a place that another kind of route gave is none."""
    slack = stage.block()
    for ref in ("", "thread-1"):
        assert (await slack.post("rollout-7", "started", ref)).confirmed
    assert len(stage.server.threads()) == 2


async def test_a_reply_that_fails_keeps_the_place(stage: Stage) -> None:
    """What was not delivered leaves the thread where it was."""
    stage.server.down()
    receipt = await stage.block().post("rollout-7", "lost", f"{CHANNEL}:1.1")
    assert (receipt.confirmed, receipt.ref) == (False, f"{CHANNEL}:1.1")


async def test_a_page_is_a_new_message_that_mentions_who_is_on_call(stage: Stage) -> None:
    """Never in the thread; groups and members are mentioned; the second says that it is a reminder."""
    slack = stage.block(oncall=["S0NIGHT", "U0OLGA"])
    place = (await slack.post("r1", "started")).ref
    receipts = [await slack.page("r1:hold", "canary is held") for _ in range(2)]
    await slack.page("r1:rollback", "another matter")
    assert [(r.confirmed, r.detail) for r in receipts] == [(True, "posted")] * 2
    told = stage.server.told[1:]
    assert [message.thread for message in told] == ["", "", ""]
    assert [message.text for message in told] == [
        "<!subteam^S0NIGHT> <@U0OLGA> *PAGE* [r1:hold] canary is held",
        "<!subteam^S0NIGHT> <@U0OLGA> *PAGE* Reminder: [r1:hold] canary is held",
        "<!subteam^S0NIGHT> <@U0OLGA> *PAGE* [r1:rollback] another matter",
    ]
    assert (await slack.post("r1", "goes on", place)).ref == place


async def test_a_page_that_nobody_got_is_no_reminder_later(stage: Stage) -> None:
    """Only what Slack has taken can be reminded of."""
    slack = stage.block()
    stage.server.refuses["chat.postMessage"] = "not_in_channel"
    assert not (await slack.page("r1:hold", "held")).confirmed
    stage.server.refuses.clear()
    assert (await slack.page("r1:hold", "held")).confirmed
    assert "Reminder" not in stage.told()


async def test_a_page_that_mentions_nobody_confirms_nothing(stage: Stage) -> None:
    """It is told, but nobody is woken: the receipt says so, and paging goes on to the next route."""
    receipt = await stage.block(oncall=[]).page("r1:hold", "held")
    assert (receipt.confirmed, receipt.detail) == (
        False,
        "posted, but the block's field oncall is empty: nobody was mentioned",
    )


async def test_a_page_route_names_who_is_on_call(stage: Stage, hook: Stage) -> None:
    """Without `oncall` nobody is woken: good for updates, and refused as a route for pages, by either way."""
    for each in (stage, hook):
        await each.block().check_paging()
        await each.block(oncall=[]).check_connection()
        with pytest.raises(CredentialError, match="block slack/sre, field oncall: a page would wake nobody: name"):
            await each.block(oncall=[]).check_paging()


async def test_a_webhook_confirms_nothing(hook: Stage) -> None:
    """It answers ok whoever sees it; each message names its rollout, since there are no threads."""
    slack = hook.block()
    post, page = await slack.post("r1", "started", "C0:1.1"), await slack.page("r1:hold", "held")
    assert [(r.confirmed, r.ref, "whether anybody can see it" in r.detail) for r in (post, page)] == [
        (False, "", True)
    ] * 2
    assert [told.text for told in hook.server.told] == ["[r1] started", "<!subteam^S0ONCALL> *PAGE* [r1:hold] held"]


# --- text ---------------------------------------------------------------------------------------------------


async def test_a_message_can_mention_nobody(stage: Stage) -> None:
    """Somebody's error message that looks like a mention is shown as it is, and the summary of a page as well."""
    slack = stage.block(oncall=["U0OLGA"])
    await slack.post("r1", "<!channel> a < b && c > d")
    await slack.page("r1:x", "<@U1>")
    assert stage.server.told[0].text == "[r1] &lt;!channel&gt; a &lt; b &amp;&amp; c &gt; d"
    assert stage.server.told[0].shown == "[r1] <!channel> a < b && c > d"
    assert stage.server.told[1].text.endswith("&lt;@U1&gt;")


async def test_whom_the_plan_names_is_mentioned_and_nobody_else(stage: Stage, hook: Stage) -> None:
    """The ids beside the text become mentions, in a thread too; what the text quotes does not, nor what is no id."""
    first = await stage.block().post("r1", "who approves? <@U9>", "", ["U0OLGA", "U0LARS"])
    await stage.block().post("r1", "again", first.ref, ["U0OLGA"])
    await hook.block().post("r1", "here", "", ["W1> <!channel"])
    assert [told.text for told in stage.server.told] == [
        "<@U0OLGA> <@U0LARS> [r1] who approves? &lt;@U9&gt;",
        "<@U0OLGA> again",
        "<@W1&gt; &lt;!channel> [r1] here",
    ]


async def test_a_long_message_is_cut_and_says_so(stage: Stage, hook: Stage) -> None:
    """40,000 characters, the mention of a page included."""
    for slack in (stage.block(), hook.block()):
        await slack.post("r1", "<" * 30_000)
        await slack.page("r1:x", "y" * 50_000)
    for told in stage.server.told:
        assert LONGEST - 5 < len(told.text) <= LONGEST
        assert told.text.endswith(CUT)


# --- what can go wrong --------------------------------------------------------------------------------------


async def test_a_rate_limit_is_obeyed(stage: Stage, hook: Stage) -> None:
    """It waits as long as Slack asks, and tells it once."""
    for each in (stage, hook):
        stage.server.rate_limited(2, seconds=2)
        await each.block().post("r1", "patience")
        assert each.clock.slept == [2.0, 2.0]
    assert stage.told().count("patience") == 2


async def test_a_rate_limit_that_does_not_fit_is_a_receipt(stage: Stage, hook: Stage) -> None:
    """Nobody waits for longer than the desk does; the receipt says what Slack asked for."""
    for each in (stage, hook):
        stage.server.rate_limited(1, seconds=30)
        for receipt in [await each.block().page("r1:x", "held")]:
            assert not receipt.confirmed
            assert "asks to wait 30 s; a message may take 5.5 s" in receipt.detail
        assert each.clock.slept == []
    assert stage.server.told == []


async def test_an_endless_rate_limit_ends(stage: Stage) -> None:
    """Retry-After 0 for ever is not asked for ever."""
    stage.server.rate_limited(1_000_000, seconds=0)
    receipt = await stage.block().post("r1", "lost")
    assert "limits the rate" in receipt.detail
    assert len(stage.server.log) < 15


@pytest.mark.parametrize("verb", ["post", "page"])
@pytest.mark.parametrize("way", ["stage", "hook"])
async def test_no_answer_is_a_receipt(
    stage: Stage, hook: Stage, way: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never answers: a receipt in time, before the desk would have given up."""
    each = {"stage": stage, "hook": hook}[way]
    assert slack_calls.DEADLINE < 6.0
    monkeypatch.setattr(slack_calls, "DEADLINE", 0.2)
    each.server.slow(60)
    receipt = await getattr(each.block(), verb)("r1", "hello")
    assert (receipt.confirmed, receipt.route) == (False, "slack/sre")
    assert "no answer within" in receipt.detail


WORDS = [("invalid_auth", "token"), ("token_revoked", "token"), ("channel_not_found", "channel")]


@pytest.mark.parametrize(("word", "field"), WORDS)
async def test_a_refusal_is_told_in_slacks_word_with_what_to_do(stage: Stage, word: str, field: str) -> None:
    """By check_connection with the field it is about; by a post as a receipt."""
    method = "conversations.info" if field == "channel" else "auth.test"
    stage.server.refuses |= {method: word, "chat.postMessage": word}
    with pytest.raises(CredentialError, match=rf"block slack/sre, field {field}: Slack says {word}: \w+") as error:
        await stage.block().check_connection()
    assert error.value.field == field
    assert (await stage.block().post("r1", "lost")).detail.startswith(f"Slack says {word}: ")


async def test_a_channel_without_the_app_is_found_before_the_start(stage: Stage) -> None:
    """Unless the token may post into every public channel. A token that must not look is not refused."""
    stage.server.not_in_channel()
    with pytest.raises(CredentialError, match="field channel: Slack says not_in_channel: invite the app"):
        await stage.block().check_connection()
    assert "not_in_channel" in (await stage.block().post("r1", "lost")).detail
    stage.server.scopes = "chat:write,chat:write.public,channels:read"
    await stage.block().check_connection()
    stage.server.scopes = "chat:write"
    await stage.block().check_connection()


async def test_a_token_that_cannot_write_is_found_before_the_start(stage: Stage) -> None:
    """Slack names the token's scopes with its answer."""
    stage.server.scopes = "channels:read"
    with pytest.raises(CredentialError, match="field token: Slack says missing_scope: add the bot scope chat:write"):
        await stage.block().check_connection()


async def test_all_knobs_of_a_bad_credential(stage: Stage, hook: Stage) -> None:
    """A token and a webhook that were withdrawn: receipts with the field's cure; a webhook cannot be checked."""
    stage.server.invalid_auth()
    with pytest.raises(CredentialError, match="invalid_auth"):
        await stage.block().check_connection()
    await hook.block().check_connection()
    assert "invalid_token: the webhook is gone" in (await hook.block().page("r1:x", "lost")).detail


@pytest.mark.parametrize("word", ["no_service", "action_prohibited", "channel_is_archived"])
async def test_a_webhook_that_is_refused(hook: Stage, word: str) -> None:
    """404, 403 and 410 with a word as plain text."""
    hook.server.refuses["webhook"] = word
    receipt = await hook.block().post("r1", "lost")
    assert (receipt.confirmed, receipt.detail.startswith(f"Slack says {word}: ")) == (False, True)


async def test_a_connection_that_breaks_is_not_tried_again(stage: Stage, hook: Stage) -> None:
    """Slack may have the message: sent once more it would stand there twice."""
    stage.server.down()
    for each in (stage, hook):
        assert not (await each.block().post("r1", "x")).confirmed
    assert [asked.path for asked in stage.server.log] == ["/api/chat.postMessage", HOOK]


async def test_a_word_that_nobody_knows(stage: Stage) -> None:
    """It is told as it is, when it is a word at all; no field is blamed."""
    stage.server.refuses["auth.test"] = "fatal_error"
    with pytest.raises(SlackRefusal, match="Slack says fatal_error: look the word up"):
        await stage.block().check_connection()
    assert SlackRefusal(f"bad {TOKEN}\n").word == "something that is no error word"


# --- secrets -------------------------------------------------------------------------------------


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The root logger and every logger that anybody has made, at their loudest."""
    for name in (None, *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


async def test_nothing_secret_gets_out(
    stage: Stage, hook: Stage, everything_logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither token nor webhook nor a proxy's password stands in a receipt, an error, what an error came from, a repr,
    or a log at its loudest, come what may."""
    monkeypatch.setenv("HTTPS_PROXY", "http://olga:pr0xy-pass@127.0.0.1:9")
    heard: list[object] = []
    knobs = [lambda: None, lambda: stage.server.rate_limited(9, 60), stage.server.invalid_auth, stage.server.down]
    for knob in knobs:
        for each in (stage, hook):
            slack = each.block()
            knob()
            heard += [await slack.post("r1", "x"), await slack.page("r1:x", "y"), slack, slack.model_dump_json()]
            try:
                await slack.check_connection()
            except (CredentialError, ProviderError) as error:
                heard += [error, *_behind(error)]
    away = Slack.from_fields("slack/sre", {**FIELDS, "base_url": "https://slack.invalid/api"})
    heard.append(await away.post("r1", "through a proxy that is not there"))
    told = f"{heard!r} {' '.join(map(str, heard))} {everything_logged.text}"
    assert "127.0.0.1" in told
    assert [secret for secret in (*SECRETS, "pr0xy-pass") if secret in told] == []
    assert not any(record.name.startswith("slack_sdk") for record in everything_logged.records)
    assert [each for each in heard if type(each).__module__.startswith(("aiohttp", "slack_sdk"))] == []


def _behind(error: BaseException) -> list[object]:
    """What the error came from, all the way down, with what hangs on it."""
    came = [each for each in (error.__cause__, error.__context__) if each is not None]
    return [vars(error), *came, *(found for each in came for found in _behind(each))]
