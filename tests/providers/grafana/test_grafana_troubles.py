"""What can go wrong with Grafana: every odd answer is one of our errors, in its words, and no secret leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.grafana import GrafanaServer
from canary.blocks.registry import open_block
from canary.boards.alerting import alert_rules, group
from canary.errors import CanaryError, CredentialError, MeasurementFailed, ProviderError, ProviderUnavailable
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.plan.model import Arms, Plan, Signal
from canary.testing.fakes import FakeClock
from canary.testing.grafana import Grafana
from canary.testing.provider import serving

ERRORS = {"errors": Signal(counter="requests_total", bad={"status": "5.."})}
ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
NOW = FakeClock().now()


def _odd(status: int, body: str = '{"message":"the words of Grafana"}') -> Callable[[Grafana], None]:
    def odd(grafana: Grafana) -> None:
        def refused(_status: int, _message: str) -> web.Response:
            return web.Response(status=status, text=body, content_type="application/json" if body else None)

        grafana.refusal = refused  # type: ignore[method-assign]
        grafana.knobs.fails = 100

    return odd


def _knob(**values: Any) -> Callable[[Grafana], None]:
    def turned(grafana: Grafana) -> None:
        for name, value in values.items():
            setattr(grafana.knobs, name, value)

    return turned


TROUBLES: dict[str, tuple[Callable[[Grafana], None], type[CanaryError], str]] = {
    "401": (_knob(revoked=True), CredentialError, "field token.*401: the token is not valid"),
    "403": (_knob(forbids=True), CredentialError, "field token.*403: the token may not do that"),
    "404": (_odd(404), ProviderError, "404: the words of Grafana"),
    "409": (_odd(409), ProviderError, "409: the words of Grafana"),
    "412": (_odd(412), ProviderError, "412: the words of Grafana"),
    "422": (_odd(422), ProviderError, "422: the words of Grafana"),
    "429": (_knob(rate_limited=100, retry_after=1), ProviderUnavailable, "429: too many requests"),
    "500": (_knob(fails=100), ProviderUnavailable, "500: an internal error occurred"),
    "html": (_knob(html=True), ProviderUnavailable, "no JSON.*Checking your browser"),
    "empty": (_odd(201, ""), ProviderUnavailable, "no JSON: .nothing."),
    "cut": (_knob(down=True), ProviderUnavailable, "no usable answer"),
    "huge": (_knob(huge=True), ProviderUnavailable, "."),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_each_trouble_is_one_of_our_errors(
    grafana: Grafana, block: GrafanaServer, tokens: dict[str, str], trouble: str
) -> None:
    """A write says it in Grafana's own words, a read is a failed measurement; neither shows the token."""
    make, raised, said = TROUBLES[trouble]
    make(grafana)
    with pytest.raises(raised, match=f"(?s){said}") as error:
        await block.annotate("x", [], NOW)
    assert tokens["Editor"] not in str(error.value)
    with pytest.raises(MeasurementFailed) as failed:
        await block.read(ERRORS, ARMS, NOW, NOW + 5)
    assert tokens["Editor"] not in str(failed.value)


async def test_the_token_stays_at_home(grafana: Grafana, block: GrafanaServer) -> None:
    """A redirect to another host is not followed by any verb."""
    other = Grafana()
    async with serving(other):
        grafana.knobs.redirects_to = f"{other.url}/api/annotations"
        with pytest.raises(ProviderError, match="answered 302"):
            await block.annotate("x", [], NOW)
        with pytest.raises(MeasurementFailed, match="answered 302"):
            await block.check_connection()
    assert other.log == []


async def test_a_slow_grafana_ends_at_the_deadline(
    grafana: Grafana, block: GrafanaServer, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb of several requests has one deadline for all of them."""
    monkeypatch.setattr("canary.blocks.grafana_push.DEADLINE", 0.3)
    grafana.knobs.slow_seconds = 0.12
    with pytest.raises(ProviderUnavailable, match=r"push alert rules: no answer within 0\.3 s"):
        await block.alerts(group(plan), alert_rules(plan))


async def test_sealed_and_opened_from_the_vault(block: GrafanaServer, tokens: dict[str, str], tmp_path: Path) -> None:
    """The fields go through the vault, in clear nowhere on the way, and the block that comes out works."""
    journal = open_journal(home=tmp_path, env={})
    vault = open_vault(journal, tmp_path, {})
    await vault.seal("r1", {"grafana/docflow": block.fields()})
    opened = await vault.open("r1")
    again = open_block("grafana/docflow", opened["grafana/docflow"])
    assert isinstance(again, GrafanaServer)
    await again.check_connection()
    await again.annotate("x", ["t"], NOW)
    await asyncio.gather(again.close(), journal.close())
    assert tokens["Editor"].encode() not in _stored(tmp_path)


def _stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
