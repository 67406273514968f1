"""Who lands where: weights, stickiness, the internal route, the time-out."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpx
import pytest

from canary.sandbox.envoy import bootstrap

if TYPE_CHECKING:
    from .conftest import World

USERS = [f"user-{number}" for number in range(400)]


async def on_green(world: World, users: Iterable[str], path: str = "/nowhere") -> set[str]:
    """The users whose request green answers."""
    few = asyncio.Semaphore(20)

    async def side(user: str) -> str | None:
        async with few:
            answer = await world.get(path, x_user=user)
            return user if answer.headers["x-docflow-colour"] == "green" else None

    return {user for user in await asyncio.gather(*map(side, users)) if user}


async def test_a_user_stays_on_the_candidate_while_its_weight_rises(world: World) -> None:
    """At 0, 0.5, 10, 50 and 100 % each set of users contains the one before, and its size is about the share."""
    before: set[str] = set()
    for weight in (0, 50, 1000, 5000, 10_000):
        await world.weigh(weight)
        now = await on_green(world, USERS)
        assert before <= now
        assert len(now) / len(USERS) == pytest.approx(weight / 10_000, abs=0.06)
        before = now


@pytest.mark.parametrize("weight", [1000, 5000])
async def test_a_user_always_lands_on_the_same_side_in_both_layers(world: World, weight: int) -> None:
    """Asked again, and asked for an API route instead of a page, the same users are on green."""
    await world.weigh(weight)
    pages = await on_green(world, USERS[:100])
    assert 0 < len(pages) < 100
    assert await on_green(world, USERS[:100]) == pages
    assert await on_green(world, USERS[:100], "/api/nowhere") == pages


async def test_the_layers_have_weights_of_their_own(world: World) -> None:
    """With the API at 100 % and the web at 0 %, everybody has the new API and the old web."""
    await world.weigh(10_000, "api")
    assert await on_green(world, USERS[:20], "/api/nowhere") == set(USERS[:20])
    assert await on_green(world, USERS[:20]) == set()


async def test_without_a_user_header_the_cookie_decides_and_without_either_chance(world: World) -> None:
    """At 50 %, a browser with the cookie stays on one side; without it, both sides are seen."""
    await world.weigh(5000)
    with_cookie = [await world.get("/nowhere", cookie="docflow-user=ann") for _ in range(20)]
    without = [await world.get("/nowhere") for _ in range(40)]
    assert len({answer.headers["x-docflow-colour"] for answer in with_cookie}) == 1
    assert len({answer.headers["x-docflow-colour"] for answer in without}) == 2


async def test_a_page_gives_a_browser_the_cookie_that_keeps_it_on_its_side(world: World) -> None:
    """A visitor without header or cookie gets one; a known one gets none."""
    assert "docflow-user=" in (await world.get("/queue")).headers["set-cookie"]
    assert "set-cookie" not in (await world.get("/queue", cookie="docflow-user=ann")).headers
    assert "set-cookie" not in (await world.get("/queue", x_user="ann")).headers


@pytest.mark.parametrize("path", ["/version", "/api/documents"])
@pytest.mark.parametrize(("colour", "version"), [("blue", "2.0.9"), ("green", "2.1.0")])
async def test_an_internal_user_reaches_the_colour_of_their_choice(
    world: World, path: str, colour: str, version: str
) -> None:
    """Whatever the weights, in both layers."""
    answer = await world.http.get(f"{world.router}{path}", headers=world.internal(colour))
    assert answer.headers["x-docflow-version"] == version


async def test_internal_requests_do_not_count_as_the_public_clusters(world: World) -> None:
    """What a target reports as routed is ordinary users only."""
    before = [await world.routed(f"{layer}_green") for layer in ("api", "web")]
    internal = await world.routed("int_green")
    for path in ("/version", "/api/documents"):
        await world.http.get(f"{world.router}{path}", headers=world.internal())
    assert [await world.routed(f"{layer}_green") for layer in ("api", "web")] == before
    assert await world.routed("int_green") >= internal + 2


@pytest.mark.parametrize(
    "headers",
    [
        {"x-canary-internal": "guessed", "x-canary-cluster": "green"},
        {"x-canary-cluster": "green"},
        {"x-internal-user": "1"},
    ],
)
async def test_who_does_not_know_the_secret_is_an_ordinary_user(world: World, headers: dict[str, str]) -> None:
    """Routed by the weights; and on the candidate no feature is shown to them, whatever they claim."""
    assert (await world.http.get(f"{world.router}/version", headers=headers)).json() == {"version": "2.0.9"}
    await world.weigh(10_000)
    page = await world.http.get(f"{world.router}/queue", headers=headers)
    assert page.headers["x-docflow-version"] == "2.1.0"
    assert '"feature": false' in page.text


async def test_the_secret_without_a_known_colour_is_an_ordinary_user(world: World) -> None:
    """There is no cluster to send them to."""
    headers = world.internal("purple")
    assert (await world.http.get(f"{world.router}/version", headers=headers)).json() == {"version": "2.0.9"}


def test_no_server_learns_the_secret_and_no_route_retries() -> None:
    """Every route takes the internal headers away before the upstream; retries would hide errors."""
    config = bootstrap(1, {"blue": 2, "green": 3}, "secret")
    listener = config["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert len(routes) == 4
    for route in routes:
        assert {"x-canary-internal", "x-canary-cluster"} <= set(route["request_headers_to_remove"])
        assert "retry_policy" not in route["route"]


async def test_an_idle_colour_answers_503_to_internal_users_and_refuses_scrapers(world: World) -> None:
    """Nothing runs there: the router says so, and the admin port, known beforehand, refuses."""
    pid = world.sandbox.state.pids["green"]
    os.kill(pid, signal.SIGKILL)
    answer = await world.http.get(f"{world.router}/version", headers=world.internal())
    assert answer.status_code == 503
    assert (await world.sandbox.status()).versions == {"blue": "2.0.9", "green": None}
    with pytest.raises(httpx.ConnectError):
        await world.http.get(world.sandbox.state.metrics_urls["green"])


async def test_a_server_that_never_answers_is_given_up_after_5_s(world: World) -> None:
    """The router answers 504 in its place, and says whose answer is missing."""
    await world.weigh(10_000)
    await world.sandbox.fault("starve")
    start = time.monotonic()
    answer = await world.get("/version", x_user="ann")
    assert answer.status_code == 504
    assert answer.headers["x-docflow-colour"] == "green"
    assert 4.5 < time.monotonic() - start < 7
