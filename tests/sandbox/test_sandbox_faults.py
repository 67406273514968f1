"""The faults: each breaks what it names, on the candidate, while it is on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from canary.errors import BadUsage

if TYPE_CHECKING:
    from .conftest import World

FORECAST = "/api/admin/analytics/forecast"


async def ask(world: World, path: str, colour: str = "green", method: str = "GET") -> httpx.Response:
    headers = {**world.internal(colour), **world.signed_in}
    return await world.http.request(method, f"{world.router}{path}", headers=headers)


async def statuses(world: World, path: str, count: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for _ in range(count // 20):
        answers = await asyncio.gather(*(ask(world, path) for _ in range(20)))
        found.update(answer.status_code for answer in answers)
    return found


async def test_errors_break_about_a_third_of_the_features_calls_and_nothing_else(world: World) -> None:
    """The endpoints of the features answer 500 in about 30 %; documents and pages do not."""
    await world.sandbox.fault("errors")
    found = await statuses(world, FORECAST, 300)
    assert set(found) == {200, 500}
    assert found[500] / 300 == pytest.approx(0.3, abs=0.12)
    assert await world.total("http_requests_total", route=FORECAST, status="500") >= found[500]
    assert set(await statuses(world, "/api/documents", 40)) == {200}
    assert set(await statuses(world, "/analytics", 40)) == {200}


async def test_one_feature_fails_alone_and_only_while_it_is_on(world: World) -> None:
    """The AI filter, for users; not the whole queue, nor another feature; and switched off, it is not there to fail."""
    await world.sandbox.fault("feature")
    found = await statuses(world, "/api/admin/queue?aiType=invoice", 100)
    assert set(found) == {200, 500}
    assert set(await statuses(world, "/api/admin/queue", 40)) == {200}
    assert set(await statuses(world, FORECAST, 40)) == {200}


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/documents"), ("POST", "/api/publish")])
async def test_latency_adds_150_ms_to_api_and_publish(world: World, method: str, path: str) -> None:
    """Every call takes at least that long on the candidate, and not on the stable version."""
    await world.sandbox.fault("latency")
    slow = await ask(world, path, method=method)
    assert slow.elapsed.total_seconds() >= 0.15
    fast = [(await ask(world, path, "blue", method)).elapsed.total_seconds() for _ in range(5)]
    assert min(fast) < 0.15


@pytest.mark.parametrize(("page", "broken"), [("queue", True), ("analytics", True), ("export", False)])
async def test_ui_makes_two_components_throw(world: World, page: str, broken: bool) -> None:
    """The page says so to its script, where it shows its feature; the stable version's pages are sound."""
    await world.sandbox.fault("ui")
    said = f'"broken": {"true" if broken else "false"}'
    assert said in (await ask(world, f"/{page}")).text
    assert '"broken": false' in (await ask(world, f"/{page}", "blue")).text


async def test_a_component_without_its_feature_does_not_throw(world: World) -> None:
    """The bug is in the feature: switched off, its page works again."""
    await world.sandbox.fault("ui")
    await world.weigh(10_000)
    assert '"broken": false' in (await world.get("/queue", x_user="ann")).text


async def test_starve_hangs_the_main_port_while_scrapers_are_answered(world: World) -> None:
    """No answer to users, metrics to scrapers; no request of them counts as answered; after the fault all is well."""
    await world.sandbox.fault("starve")
    with pytest.raises(httpx.ReadTimeout):
        await world.http.get(f"{world.router}/version", headers=world.internal(), timeout=0.5)
    before = await world.total("http_requests_total")
    with pytest.raises(httpx.ReadTimeout):
        await world.http.get(f"{world.router}/export", headers=world.internal(), timeout=0.5)
    assert await world.total("http_requests_total") == before
    assert (await ask(world, "/version", "blue")).status_code == 200
    await world.sandbox.fault("none")
    assert (await ask(world, "/version")).status_code == 200


async def test_who_gave_up_waiting_is_not_served_afterwards(world: World) -> None:
    """Requests abandoned during the fault end with their clients: they are never answered, nor counted."""
    before = await world.total("http_requests_total", route="other")
    await world.sandbox.fault("starve")
    with pytest.raises(httpx.ReadTimeout):
        await world.http.get(f"{world.router}/nowhere", headers=world.internal(), timeout=0.5)
    await world.sandbox.fault("none")
    assert (await ask(world, "/version")).status_code == 200
    assert await world.total("http_requests_total", route="other") == before


async def test_the_first_version_is_sound_even_when_it_is_deployed_during_a_fault(world: World) -> None:
    """Going back to it is no candidate: its calls fail as those of an old version, with 404."""
    await world.sandbox.fault("errors")
    await world.deploy("2.0.9")
    assert set(await statuses(world, FORECAST, 60)) == {404}


async def test_broken_telemetry_hits_both_colours(world: World) -> None:
    """503 for scrapers of both; users notice nothing."""
    await world.sandbox.fault("telemetry")
    urls = world.sandbox.state.metrics_urls
    assert [(await world.http.get(urls[colour])).status_code for colour in ("blue", "green")] == [503, 503]
    assert (await ask(world, "/version")).status_code == 200
    await world.sandbox.fault("none")
    assert [(await world.http.get(urls[colour])).status_code for colour in ("blue", "green")] == [200, 200]


async def test_a_fault_waits_for_a_candidate(world: World) -> None:
    """The version that the sandbox began with is no candidate; the next one deployed has the fault at once."""
    await world.deploy("2.0.9")
    assert (await world.sandbox.status()).candidate is None
    await world.sandbox.fault("ui")
    assert '"broken": false' in (await ask(world, "/queue")).text
    await world.deploy("2.1.7")
    assert '"broken": true' in (await ask(world, "/queue")).text
    status = await world.sandbox.status()
    assert (status.candidate, status.fault) == ("green", "ui")


async def test_the_fault_moves_to_the_next_candidate(world: World) -> None:
    """After a promotion the other colour gets the next version: it has the fault, the new stable one is healed."""
    await world.sandbox.fault("ui")
    await world.weigh(10_000)
    try:
        await world.deploy("2.2.0", "blue")
        assert (await world.sandbox.status()).candidate == "blue"
        assert '"broken": true' in (await ask(world, "/queue", "blue")).text
        assert '"broken": false' in (await ask(world, "/queue")).text
    finally:
        await world.deploy("2.0.9", "blue")
    assert (await world.sandbox.status()).candidate == "green"
    assert '"broken": true' in (await ask(world, "/queue")).text


async def test_an_unknown_fault_names_the_right_ones(world: World) -> None:
    """Nothing is switched, and the likely meaning is offered."""
    with pytest.raises(
        BadUsage, match=r"did you mean latency\? .*none, errors, feature, latency, ui, starve, telemetry"
    ):
        await world.sandbox.fault("latancy")
    assert (await world.sandbox.status()).fault == "none"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
async def test_only_the_supervisor_switches_faults(world: World, header: dict[str, str]) -> None:
    """A server's admin port is open to scrapers, and to nobody else."""
    url = world.sandbox.state.metrics_urls["green"].replace("/metrics", "/fault")
    assert (await world.http.put(url, json={"fault": "errors"}, headers=header)).status_code == 401
    control = world.sandbox.state.control_url
    assert (await world.http.put(f"{control}/fault", json={"fault": "ui"}, headers=header)).status_code == 401
    assert (await world.http.get(f"{control}/status", headers=header)).status_code == 401
