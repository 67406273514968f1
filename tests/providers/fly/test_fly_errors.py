"""Whatever Fly answers, or does not: one of our errors, with Fly's own words and request id, and without the token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from cryptography.fernet import Fernet

from canary.blocks.fly import FlyApp
from canary.blocks.registry import open_block
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.journal.store import open_journal
from canary.journal.vault import SqlVault
from canary.ports import Release
from canary.testing.clock import FakeClock
from canary.testing.fly import CANDIDATE, TOKEN, FlyServer
from canary.testing.provider import Asked, Knobs, serving

WORDS = f'{{"error": "the words of Fly, and {TOKEN}"}}'


@dataclass
class Answering:
    """A server with one answer for everything."""

    status: int
    text: str = WORDS
    headers: dict[str, str] = field(default_factory=lambda: {"fly-request-id": "01REQUEST-fra"})
    knobs: Knobs = field(default_factory=Knobs)
    log: list[Asked] = field(default_factory=list)
    url: str = ""

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self._answer)]

    def allows(self, request: web.Request) -> bool:
        return True

    def refusal(self, status: int, message: str) -> web.Response:
        return web.json_response({"error": message}, status=status)

    async def _answer(self, request: web.Request) -> web.Response:
        body = self.text.encode() or None
        kind = {"Content-Type": "application/json"} if body else {}
        return web.Response(status=self.status, body=body, headers={**self.headers, **kind})


def _said(error: Exception) -> str:
    text = str(error) + repr(error)
    assert TOKEN not in text
    assert TOKEN.split()[1] not in text
    return text


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (401, CredentialError),
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
async def test_each_refusal_is_ours(release: Release, status: int, raised: type[Exception]) -> None:
    """In Fly's words, with the id by which its support finds the request; every verb, and verify never raises."""
    async with serving(Answering(status)) as url:
        block = FlyApp.from_fields("fly/api", {"app": "docflow-api", "token": TOKEN, "api_url": url}, FakeClock())
        verbs: list[Callable[[], Any]] = [
            block.observe,
            lambda: block.prepare(release),
            lambda: block.expose(release, 0.5, 1),
            lambda: block.expose(release, 0.0, 1),
        ]
        for verb in verbs:
            with pytest.raises(raised) as error:
                await verb()
            said = _said(error.value)
            assert f"answered {status}: the words of Fly, and *** (fly-request-id: 01REQUEST-fra)" in said
            assert isinstance(error.value, ProviderUnavailable) is (raised is ProviderUnavailable)
        looked = await block.verify(release, 0.0)
        assert (looked.answer, looked.observed) == ("cannot tell", None)
        assert "the words of Fly" in looked.detail
        await block.close()


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (201, "", r"no JSON: \(nothing\)"),
        (200, "<html>log in</html>", r"no JSON: <html>log in"),
        (200, "{}", r"something else than the Machines API does: the whole: Input should be a valid list"),
        (200, '[{"id": "m1"}]', r"something else than the Machines API does: 0.region: Field required"),
        (302, "", r"answered 302"),
    ],
)
async def test_an_answer_that_is_none(release: Release, status: int, text: str, said: str) -> None:
    """A page in front, an empty body, another API: never taken for a fleet without machines."""
    async with serving(Answering(status, text)) as url:
        block = FlyApp.from_fields("fly/api", {"app": "docflow-api", "token": TOKEN, "api_url": url}, FakeClock())
        for verb in (block.observe, block.check_connection):
            with pytest.raises(ProviderError, match=said) as error:
                await verb()
            _said(error.value)
        await block.close()


@pytest.mark.parametrize(
    ("knob", "value", "raised", "said"),
    [
        ("html", True, ProviderUnavailable, "no JSON"),
        ("huge", True, ProviderUnavailable, "no JSON"),
        ("down", True, ProviderUnavailable, "no usable answer"),
        ("fails", 99, ProviderUnavailable, "500: an internal error"),
        ("rate_limited", 99, ProviderUnavailable, "429: too many"),
        ("revoked", True, CredentialError, "field token: .* 401"),
        ("forbids", True, CredentialError, "field token: .* 403"),
    ],
)
async def test_a_platform_that_misbehaves_is_seen_by_preflight(
    fly: FlyServer, make: Any, knob: str, value: Any, raised: type[Exception], said: str
) -> None:
    """What check_connection says names the token when it is the token."""
    setattr(fly.knobs, knob, value)
    with pytest.raises(raised, match=said) as error:
        await make().check_connection()
    _said(error.value)


async def test_a_redirect_takes_no_token_along(fly: FlyServer, release: Release, make: Any) -> None:
    """Another host learns nothing, by no verb."""
    other = Answering(200)
    async with serving(other) as url:
        fly.knobs.redirects_to = f"{url}/elsewhere"
        for verb in (lambda b: b.observe(), lambda b: b.expose(release, 0.0, 1), lambda b: b.check_connection()):
            with pytest.raises(ProviderError, match="302"):
                await verb(make())
    assert other.log == []


async def test_an_answer_that_never_comes(
    fly: FlyServer, release: Release, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is the verb's, whatever the platform does."""
    fly.knobs.slow_seconds = 30.0
    monkeypatch.setattr("canary.blocks.fly.DEADLINE", 0.2)
    looked = await make().verify(release, 0.0)
    assert looked.answer == "cannot tell"
    assert "no answer within 0.2 s" in looked.detail


async def test_the_block_names_its_wrong_field(fly: FlyServer, make: Any) -> None:
    """The app, the process group and the token, each as what preflight and doctor show."""
    cases = [
        ({"app": "nowhere"}, "app", "reaches no app 'nowhere'"),
        ({"process_group": "web"}, "process_group", "no machine is in 'web'; there are app"),
        ({"token": "FlyV1 fm2_wrong"}, "token", "answered 401"),
    ]
    for fields, name, said in cases:
        with pytest.raises(CredentialError, match=said) as error:
            await make(**fields).check_connection()
        assert (error.value.block, error.value.field) == ("fly/api", name)
        assert "fm2_wrong" not in str(error.value)
    await make().check_connection()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"token": "two words"}, "token"),
        ({"token": "FlyV1 a\nb"}, "token"),
        ({"app": "Doc Flow"}, "app"),
        ({"app": "../x"}, "app"),
        ({"private_url": "fdaa::1"}, "private_url"),
        ({"private_url": "http://{host}"}, "private_url"),
        ({"private_url": "http://{app.__class__}"}, "private_url"),
        ({"private_url": "http://{app"}, "private_url"),
        ({"ready_within": 0}, "ready_within"),
    ],
)
def test_a_field_that_cannot_be(fields: dict[str, Any], name: str) -> None:
    """It is refused when the block is made, without its value."""
    with pytest.raises(CredentialError) as error:
        FlyApp.from_fields("fly/api", {"app": "docflow-api", "token": TOKEN, **fields})
    assert error.value.field == name
    assert "two words" not in str(error.value)


async def test_it_works_from_the_vault(fly: FlyServer, release: Release, tmp_path: Path) -> None:
    """Sealed, opened, used for the way back: as the guard does, without Prefect; the token is nowhere in clear."""
    journal = open_journal(f"sqlite:///{tmp_path / 'journal.db'}")
    vault = SqlVault(journal.database, [Fernet.generate_key().decode()])
    await vault.seal("r1", {"fly/api": open_block("fly/api", fly.fields()).fields()})
    fields = (await vault.open("r1"))["fly/api"]
    block: Any = open_block("fly/api", fields, fly.clock)
    await block.expose(release, 0.5, epoch=1)
    await block.expose(release, 0.0, epoch=2)
    assert (await block.verify(release, 0.0)).answer == "yes"
    assert fly.runs(CANDIDATE) == []
    await block.close()
    await journal.close()
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240
    assert urlsplit(fields["api_url"]).hostname == "127.0.0.1"
