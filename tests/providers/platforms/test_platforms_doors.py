"""How internal users reach a candidate on the demo's platforms, its pages in a browser included."""

from __future__ import annotations

import ssl
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from canary.blocks.browser import Chromium
from canary.cli.platforms import lead_browser
from canary.plan.model import UiCheck
from canary.ports import Access
from canary.sandbox.platforms.certificate import browser_arguments, made
from canary.sandbox.platforms.doors import BYPASS_HEADER, Doors
from canary.sandbox.platforms.street import Street
from canary.sandbox.platforms.town import Town
from canary.sandbox.platforms.wire import Platforms
from canary.testing.fly_machines import FakeMachine
from canary.testing.vercel import BYPASS

HOST = "docflow-candidate.vercel.app"
SCRIPT = '{"name": "seen", "open": "/queue", "do": [], "expect": [{"see": "body", "text": "seen"}]}'
Open = Callable[..., Any]


@pytest.fixture
def doors(town: Town, street: Street, moved: Any, http: aiohttp.ClientSession) -> Doors:
    return Doors(town, street, moved.url, http)


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """`await opened(app, context)` → the port on which it is served until the end."""
    async with AsyncExitStack() as stack:

        async def serve(app: web.Application, context: ssl.SSLContext | None = None) -> int:
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            return int(runner.addresses[0][1])

        yield serve


async def test_a_machine_is_its_version_by_the_internal_route(
    doors: Doors, town: Town, moved: Any, opened: Open, http: aiohttp.ClientSession, launch: Callable[[], FakeMachine]
) -> None:
    """Path, query, body and the caller's own headers go through; the answer comes back with all of its cookies."""
    machine = launch()
    town.clock.stand_still(10.0)  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{await opened(doors.private_network())}/{machine.id}/api/x%2Fy?aiType=invoice"
    async with http.post(url, data=b"hello", headers={"Authorization": "Bearer mine"}) as answer:
        assert (answer.status, await answer.text(), answer.headers["x-said"]) == (207, "seen", "yes")
        assert len(answer.headers.getall("Set-Cookie")) == 2
    (visit,) = moved.visits
    assert (visit.method, visit.raw_path, moved.bodies) == ("POST", "/api/x%2Fy?aiType=invoice", [b"hello"])
    assert visit.headers["Authorization"] == "Bearer mine"
    assert (visit.headers["x-canary-internal"], visit.headers["x-canary-cluster"]) == ("t0ken-internal", "green")


async def test_a_machine_that_is_not_started_or_not_there_is_not_reached(
    doors: Doors, town: Town, moved: Any, opened: Open, http: aiohttp.ClientSession
) -> None:
    """503 and 404; a machine with stable's image is stable."""
    stable, resting, *_ = town.fly.machines.values()
    town.fly.rest(resting)
    base = f"http://127.0.0.1:{await opened(doors.private_network())}"
    statuses = []
    for machine in (stable.id, resting.id, "nobody"):
        async with http.get(f"{base}/{machine}/version") as answer:
            statuses.append(answer.status)
    assert statuses == [207, 503, 404]
    assert [visit.headers["x-canary-cluster"] for visit in moved.visits] == ["blue"]


async def test_a_deployment_opens_to_its_secret_alone(
    doors: Doors, moved: Any, opened: Open, http: aiohttp.ClientSession
) -> None:
    """401 without it, 404 for a host that is no deployment's; the secret goes no further."""
    url = f"http://127.0.0.1:{await opened(doors.deployments())}/queue"
    statuses = []
    for host, secret in ((HOST, BYPASS), (HOST, "guessed"), ("other.vercel.app", BYPASS)):
        async with http.get(url, headers={"Host": host, BYPASS_HEADER: secret}) as answer:
            statuses.append(answer.status)
    assert statuses == [207, 401, 404]
    (visit,) = moved.visits
    assert BYPASS_HEADER not in visit.headers
    assert visit.headers["x-canary-cluster"] == "green"


async def test_a_sandbox_that_is_gone_is_a_bad_gateway(
    town: Town, street: Street, opened: Open, http: aiohttp.ClientSession
) -> None:
    """502, as from a platform whose application does not answer."""
    port = await opened(Doors(town, street, "http://127.0.0.1:1", http).deployments())
    async with http.get(f"http://127.0.0.1:{port}/", headers={"Host": HOST, BYPASS_HEADER: BYPASS}) as answer:
        assert answer.status == 502


async def test_a_browser_visits_the_deployment_s_own_address(
    doors: Doors,
    moved: Any,
    opened: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    require: Callable[[str], Path],
) -> None:
    """https://….vercel.app is found on this machine, its one key is taken and no other, and the secret is sent."""
    context, key = made(tmp_path / "key.pem", datetime.now(UTC))
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    port = await opened(doors.deployments(), context)
    (tmp_path / "sandbox").mkdir()
    monkeypatch.setenv("PATH", str(require("chromium").parent))
    lead_browser(tmp_path, Platforms(blocks={}, page="", browser=browser_arguments(port, key)))
    script = UiCheck.model_validate_json(SCRIPT)
    browser = Chromium()
    visit = await browser.visit(Access(f"https://{HOST}", {BYPASS_HEADER: BYPASS}), script)
    other, _ = made(tmp_path / "other.pem", datetime.now(UTC))
    stranger = Access(f"https://127.0.0.1:{await opened(doors.deployments(), other)}", {})
    distrusted = await browser.visit(stranger, script)
    await browser.close()
    assert (visit.outcome, visit.detail) == ("passed", "/queue did as expected")
    assert "/queue" in [visited.path for visited in moved.visits]
    assert (distrusted.outcome, distrusted.views) == ("cannot tell", 0)
    assert "ERR_CERT" in distrusted.detail


def test_without_a_browser_nothing_is_led(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH stays as it is, and the checks in a browser are skipped as ever."""
    monkeypatch.setenv("PATH", str(tmp_path))
    lead_browser(tmp_path, Platforms(blocks={}, page="", browser=()))
    assert [*tmp_path.iterdir()] == []
