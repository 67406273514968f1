"""Platforms that repeat a block's own secrets, anywhere in their answer and in any form: nobody is told them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from canary.blocks.exposition import samples
from canary.blocks.grafana_push import rule_uid
from canary.blocks.hiding import Hider
from canary.blocks.probe import HttpProbe
from canary.blocks.registry import open_block
from canary.errors import CanaryError, CredentialError, ProviderUnavailable
from canary.plan.model import Arms, HttpCheck, MetricsCheck
from canary.ports import Access, AlertRule, Release
from canary.rollout.checks import Checks
from canary.testing import echoes
from canary.testing.clock import FakeClock
from canary.testing.echoes import FORMS, PLACES, Answers, Echo, World, echoing
from canary.testing.fakes import FakeBrowser
from canary.testing.leaks import told
from canary.testing.metrics import ARMS, SIGNALS

RELEASE = Release('{"phase1_enabled":true}', '{"phase1_enabled":false}')
FEW = 40
MANY = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
Verb = Callable[[], Awaitable[object]]
Fields = Callable[[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """fields: (address, secret) → plain values. worlds: good answers, in which a word at a time is the secret."""

    ref: str
    fields: Fields
    verbs: Callable[[Any], list[Verb]]
    alphabet: str = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "*")
    worlds: tuple[World, ...] = ()

    def secrets(self, secret: str) -> tuple[str, ...]:
        """All that the block was given."""
        two = self.ref.startswith(("envoy", "vercel"))
        return (secret, secret[::-1]) if two else (secret,)


def _target(block: Any, release: Release = RELEASE) -> list[Verb]:
    return [
        block.check_connection,
        block.observe,
        lambda: block.prepare(release),
        lambda: block.verify(release, 0.1),
        lambda: block.expose(release, 0.1, 1),
        lambda: block.expose(release, 1.0, 1),
        lambda: block.expose(release, 0.0, 1),
        lambda: block.verify(release, 0.0),
    ]


def _vercel(block: Any) -> list[Verb]:
    verbs = [*_target(block, Release("2.1.0", "dpl_stable")), lambda: block.expose(Release("", "dpl_old"), 0.0, 1)]
    return [*verbs, block.ladder, lambda: block.takes(0.2), lambda: block.switch_off("NEXT_PUBLIC_QUEUE")]


def _fly(block: Any) -> list[Verb]:
    release = Release("registry.fly.io/docflow:v2.1.0", "registry.fly.io/docflow:v2.0.9")
    return [*_target(block, release), lambda: block.takes(0.1)]


ACROSS = Arms(canary={"version": "2.1.0"}, baseline={"job": "api"})
"""One series can match both."""


def _metrics(block: Any) -> list[Verb]:
    read = [lambda: block.read(SIGNALS, ARMS, 0.0, 15.0), lambda: block.read(SIGNALS, ACROSS, 0.0, 15.0)]
    return [block.check_connection, *read]


BOARD = {"uid": "canary-phase1", "title": "phase1", "templating": {"list": []}}
RULE = AlertRule("errors", "vector(1)", 60.0, "errors", {"severity": "page"})


def _grafana(block: Any) -> list[Verb]:
    pushes = [lambda: block.push(BOARD), lambda: block.alerts("g", [RULE]), lambda: block.annotate("x", ["y"], 1.0)]
    return [*_metrics(block), block.check_writing, *pushes]


def _notifier(block: Any) -> list[Verb]:
    return [block.check_connection, lambda: block.post("r-1", "hello"), lambda: block.page("i-1", "wake up")]


def _envoy(url: str, secret: str) -> dict[str, Any]:
    colours = {"blue": "api_blue", "green": "api_green"}
    tokens = {"admin_token": secret, "internal_token": secret[::-1]}
    urls = {"router_url": url, "admin_url": f"{url}/admin", "deploy_url": f"{url}/admin/deploy"}
    return {**urls, **tokens, "runtime_prefix": "routing.api", "clusters": colours, "ready_within": 0.1}


GRAFANA = echoes.grafana(rule_uid("g", RULE))
WORD = "".join(chr(code) for code in range(0x61, 0x7B)) + "0123456789_"
KINDS = (
    Kind("envoy/x", _envoy, _target),
    Kind("flags/x", lambda url, s: {"url": url, "token": s}, _target, worlds=echoes.FLAGS),
    Kind(
        "global-config/x",
        lambda url, s: {"url": url, "token": s, "config_id": "ecfg_1"},
        _target,
        worlds=echoes.CONFIG,
    ),
    Kind(
        "vercel/x",
        lambda url, s: {
            "url": url,
            "token": s,
            "bypass_secret": s[::-1],
            "project_id": "prj_docflow",
            "team_id": "team_1",
            "ready_within": 0.1,
        },
        _vercel,
        worlds=echoes.VERCEL,
    ),
    Kind(
        "fly/x",
        lambda url, s: {"api_url": url, "token": s, "app": "docflow-api", "ready_within": 0.1},
        _fly,
        worlds=echoes.FLY,
    ),
    Kind("grafana/proxy", lambda url, s: {"url": url, "token": s, "datasource": "prom"}, _grafana, worlds=GRAFANA),
    Kind(
        "grafana/query",
        lambda url, s: {"url": url, "token": s, "datasource": "prom", "reads": "query"},
        _grafana,
        worlds=GRAFANA,
    ),
    Kind("scraper/x", lambda url, s: {"urls": [f"{url}/metrics"], "bearer": s}, _metrics),
    Kind("prometheus/bearer", lambda url, s: {"url": url, "bearer": s}, _metrics, worlds=echoes.PROMETHEUS),
    Kind("prometheus/basic", lambda url, s: {"url": url, "username": "ann", "password": s}, _metrics),
    Kind(
        "slack/bot",
        lambda url, s: {"base_url": f"{url}/api", "token": s, "channel": "C024BE91L", "oncall": ["U024BE91L"]},
        _notifier,
    ),
    Kind("slack/hook", lambda url, s: {"webhook_url": f"{url}/services/T0/B0/{s}"}, _notifier, WORD),
)
ALL = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.ref)


def test_every_kind_that_sends_a_secret_is_here() -> None:
    """Of the blocks that have a secret field only the token has no verb of its own: checks send it."""
    from canary.blocks.registry import BLOCKS

    secret = {kind for kind, cls in BLOCKS.items() if cls.model_json_schema()["secret_fields"]}
    assert secret == {kind.ref.partition("/")[0] for kind in KINDS} | {"token"}


def answers() -> st.SearchStrategy[Echo]:
    return st.builds(
        Echo,
        status=st.sampled_from([200, 200, 302, 400, 401, 403, 404, 429, 500, 503]),
        form=st.sampled_from(sorted(FORMS)),
        pieces=st.integers(1, 4),
        in_headers=st.booleans(),
    )


def words_of(error: BaseException) -> str:
    """All that can be read of an error and of what is behind it, whether a traceback would show that or not."""
    words, links = [], [error]
    while links:
        link = links.pop()
        words += [str(link), repr(link), repr(link.args), repr(vars(link)), *getattr(link, "__notes__", ())]
        links += [behind for behind in (link.__cause__, link.__context__) if behind]
        links += getattr(link, "exceptions", ())
    return "\n".join(words)


async def _said(verbs: Iterable[Verb]) -> str:
    """What comes of the verbs, and their errors."""
    words = []
    for verb in verbs:
        try:
            words.append(repr(await verb()))
        except CanaryError as error:
            words.append(words_of(error))
    return "\n".join(words)


class ShortWaits(FakeClock):
    """Waits are over at once, and are long: what is asked is a real server, and every poll costs time."""

    async def sleep(self, seconds: float) -> None:
        self.stand_still(max(seconds, 2.0))

    def monotonic(self) -> float:
        self.stand_still(0.05)
        return super().monotonic()


async def _told_by(kind: Kind, secret: str, places: Iterable[tuple[str, Answers]]) -> dict[str, str]:
    """Place of the secret in the answers → all that the adapter says then."""
    said = {}
    async with echoing() as server:
        for place, server.answers in places:
            # A new one each time: what an adapter remembers of its former answers is not to keep it from asking.
            block: Any = open_block(kind.ref, kind.fields(server.url, secret), ShortWaits())
            said[place] = f"{block!r} {await _said(kind.verbs(block))}"
            await block.close()
    return said


def _places(kind: Kind, secret: str, echo: Echo) -> Iterable[tuple[str, Answers]]:
    """The secret in answers of any shape, whoever asks what."""
    sent = kind.secrets(secret)
    return [(place, echo.everywhere(sent, shape(echo.said(sent)))) for place, shape in PLACES.items()]


def _words(kind: Kind, sent: Iterable[str], echo: Echo) -> Iterable[tuple[str, Answers]]:
    """The secret as one word of good answers, each answer's words in the first world that has it."""
    before: list[World] = []
    for number, world in enumerate(kind.worlds):
        new = {asked: said for asked, said in world.items() if all(w.get(asked) != said for w in before)}
        for place, told_world in echoes.planted_in(new, echo.said(sent)):
            yield f"{number}: {place}", echo.world(sent, {**world, **told_world})
        before.append(world)


@ALL
@given(data=st.data(), echo=answers())
@MANY
def test_no_adapter_tells_its_secrets(kind: Kind, data: st.DataObject, echo: Echo) -> None:
    """Neither a result nor an error, nor anything behind the error, has the secret that a platform has repeated."""
    secret = data.draw(st.text(kind.alphabet, min_size=12, max_size=40))
    shapes, words = list(_places(kind, secret, echo)), list(_words(kind, kind.secrets(secret), echo))
    drawn = data.draw(st.lists(st.sampled_from(shapes), min_size=3, max_size=4, unique_by=lambda place: place[0]))
    drawn += data.draw(st.lists(st.sampled_from(words), max_size=2)) if words else []
    for place, said in asyncio.run(_told_by(kind, secret, drawn)).items():
        assert told([secret, secret[::-1]], said) == [], place


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.worlds], ids=lambda kind: kind.ref)
def test_no_word_of_a_good_answer_is_a_secret(kind: Kind) -> None:
    """An answer that is right but for one key, word or number, which is the secret, is not told either."""
    secret, echo = "a-secret-of-some-length", Echo(200, "plain", 1)
    words = list(_words(kind, [secret], echo))
    # Of the longest answers every second or third word: the test above draws from all of them.
    for place, said in asyncio.run(_told_by(kind, secret, words[:: 1 + len(words) // FEW])).items():
        assert told([secret], said) == [], place


@given(secret=st.text(KINDS[0].alphabet, min_size=12, max_size=40), echo=answers())
@example(secret="pr0be-\\t0ken", echo=Echo(302, "plain", 1, in_headers=True))
@MANY
def test_no_check_tells_its_token(secret: str, echo: Echo) -> None:
    """What checks observe is journaled, whatever the candidate does with the token and the internal header."""

    for place, said in asyncio.run(_observed(secret, echo)).items():
        assert told([secret], said) == [], place


async def _observed(secret: str, echo: Echo) -> dict[str, str]:
    """Place of the secret in the answers → what two rounds of checks observe, and the probe's own error."""
    said, probe = {}, HttpProbe()
    asked = (
        HttpCheck(name="queue", get="/queue", bearer="token/x"),
        MetricsCheck(name="metrics", metrics=("http_requests_total",)),
    )
    bearers = {"token/x": {"Authorization": f"Bearer {secret}"}}
    async with echoing() as server:
        access = Access(server.url, {"x-canary-internal": secret})
        checks = Checks(FakeClock(), probe, FakeBrowser(), access, {}, bearers, (), 15.0)
        for place in PLACES:
            server.answers = echo.everywhere([secret], PLACES[place](echo.said([secret])))
            rounds = [await checks.round(asked), await checks.round(asked)]
            said[place] = f"{rounds} {await _said([lambda: _error(probe, access)])}"
        await probe.close()
    return said


async def _error(probe: HttpProbe, access: Access) -> None:
    """Its answer is what a check looks at; only its errors are told."""
    await probe.get(access.url, access.headers)


@ALL
@given(data=st.data())
@settings(max_examples=25)
def test_no_refused_field_is_quoted(kind: Kind, data: st.DataObject) -> None:
    """A secret that stands where it does not belong, or is none, is not in the error that says so."""
    secret = data.draw(st.text(kind.alphabet, min_size=12, max_size=40))
    good = kind.fields("http://127.0.0.1:1", secret)
    name = data.draw(st.sampled_from(sorted(good)))
    as_url = f"https://ann:{quote(secret, safe='')}@127.0.0.1/?key={quote(secret, safe='')}"
    wrong = data.draw(st.sampled_from([f"two {secret}", [secret, 1], {"a": secret}, as_url, f"{secret}\n"]))
    said = _made(kind.ref, {**good, name: wrong})
    # Some field takes it, and is no secret one: a user's name, say.
    assert told([secret], said) == [] or name in ("username", "clusters")


def _made(ref: str, fields: dict[str, Any]) -> str:
    """The block in words, or the error about it."""
    try:
        return repr(open_block(ref, fields))
    except CredentialError as error:
        return words_of(error)


@given(
    secret=st.text(KINDS[0].alphabet, min_size=12, max_size=40),
    form=st.sampled_from(sorted(FORMS)),
    around=st.tuples(st.text(max_size=20), st.text(max_size=20)),
)
def test_a_hider_leaves_nothing(secret: str, form: str, around: tuple[str, str]) -> None:
    """Of every form of the secret nothing is left, wherever it stands; a text without it stays as it is."""
    hider, text = Hider([secret]), FORMS[form](secret).join(around)
    assert hider.holds(text)
    assert told([secret], hider.hide(text)) == []
    assert hider.hide("the flag service answers 503") == "the flag service answers 503"


@pytest.mark.parametrize("text", ["\\" * 200_000, "%25" * 100_000, "&amp;" * 100_000, "x" * 1_000_000, " " * 1_000_000])
def test_a_long_answer_is_looked_through_at_once(text: str) -> None:
    """An answer made to keep us busy does not: a conductor that hides a secret for seconds loses its lease."""
    loop = asyncio.new_event_loop()
    try:
        before = loop.time()
        Hider(["a-secret-of-some-length\\%&"]).shown(text, 300)
        assert loop.time() - before < 2.0
    finally:
        loop.close()


def test_a_secret_that_is_cut_off_is_not_shown() -> None:
    """Where a long answer is cut to be looked through, the first half of a secret may stand."""
    secret = "a-secret-of-some-length"
    text = (secret + " ") * 10_000
    assert secret[:6] not in Hider([secret]).shown(text, 10**6)


def test_what_is_no_line_of_metrics_is_not_quoted() -> None:
    """Cut to its first characters it could end in half a token, which nobody would know for one."""
    with pytest.raises(ValueError, match=r"^line 2 is none of metrics$"):
        samples(
            "http_requests_total 1\n<p>Authorization: Bearer a-secret-of-some-length</p>\n", ["http_requests_total"]
        )


async def test_where_a_server_leads_is_not_told(serve: Any) -> None:
    """A redirect's path can hold the header that was sent: an error on the way names what was asked first."""
    secret = "a-secret-of-some-length"

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/queue":
            return web.Response(status=302, headers={"Location": f"/login/{secret}"})
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    probe, url = HttpProbe(), await serve(handle)
    with pytest.raises(ProviderUnavailable, match=r"GET \S+/queue: no usable answer") as error:
        await probe.get(f"{url}/queue", {"x-canary-internal": secret})
    assert told([secret], words_of(error.value)) == []
    await probe.close()
