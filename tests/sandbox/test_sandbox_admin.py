"""The guarded Envoy admin API, and deploying."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import World


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/runtime?format=json"),
        ("GET", "/stats?format=json&filter=^cluster\\.api_"),
        ("GET", "/server_info"),
        ("GET", "/clusters?format=json"),
    ],
)
async def test_what_a_rollout_needs_is_forwarded(world: World, method: str, path: str) -> None:
    """Envoy's own answer comes back, JSON as JSON."""
    answer = await world.http.request(method, f"{world.sandbox.state.admin_url}{path}", headers=world.admin)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()


async def test_weights_are_read_back_as_they_were_written(world: World) -> None:
    """Both keys in one request; the answer of the write is the point from which they hold."""
    await world.weigh(2500, "api")
    url = f"{world.sandbox.state.admin_url}/runtime?format=json"
    entries = (await world.http.get(url, headers=world.admin)).json()["entries"]
    assert entries["routing.api.api_blue"]["final_value"] == "7500"
    assert entries["routing.api.api_green"]["final_value"] == "2500"
    assert (await world.sandbox.status()).weights["api"] == {"blue": 7500, "green": 2500}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config_dump"),
        ("POST", "/quitquitquit"),
        ("POST", "/healthcheck/fail"),
        ("POST", "/runtime"),
        ("GET", "/runtime_modify?routing.api.api_blue=0"),
        ("POST", "/stats"),
        ("GET", "/stats/prometheus"),
        ("GET", "/stats/../config_dump"),
        ("GET", "/runtime%2f..%2fconfig_dump"),
        ("GET", "/deploy"),
    ],
)
async def test_everything_else_is_closed(world: World, method: str, path: str) -> None:
    """403, even with the token: the configuration holds the internal users' secret."""
    answer = await world.http.request(method, f"{world.sandbox.state.admin_url}{path}", headers=world.admin)
    assert answer.status_code in (403, 405)
    assert world.sandbox.state.internal_token not in answer.text


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
@pytest.mark.parametrize("path", ["/runtime", "/runtime_modify", "/deploy", "/config_dump"])
async def test_without_the_token_everything_is_401(world: World, path: str, header: dict[str, str]) -> None:
    """Even what does not exist: an outsider learns nothing."""
    url = f"{world.sandbox.state.admin_url}{path}"
    assert (await world.http.post(url, headers=header)).status_code == 401


async def test_envoys_own_admin_is_a_socket_for_its_owner_alone(world: World) -> None:
    """No other user of the machine gets past the proxy."""
    folder = world.sandbox.home / "sandbox"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_ISSOCK((folder / "admin.sock").stat().st_mode)
    assert stat.S_IMODE((folder / "envoy.json").stat().st_mode) == 0o600


async def test_deploying_is_idempotent(world: World) -> None:
    """202 for a version that has to be started, 200 once it runs, and its process stays the same."""
    assert await world.deploy("2.1.1") == 202
    pid = world.sandbox.state.pids["green"]
    assert await world.deploy("2.1.1") == 200
    assert world.sandbox.state.pids["green"] == pid


async def test_two_deployments_at_once_start_one_process(world: World) -> None:
    """One of them says 202, the other 200."""
    statuses = await asyncio.gather(world.deploy("2.1.2"), world.deploy("2.1.2"))
    assert sorted(statuses) == [200, 202]


async def test_a_serving_colour_takes_no_other_version(world: World) -> None:
    """409 as soon as one user may be there, in either layer; the version that serves goes on."""
    assert await world.deploy("2.2.0", "blue") == 409
    await world.weigh(1, "web")
    assert await world.deploy("2.2.0") == 409
    assert await world.deploy("2.1.0") == 200
    assert (await world.sandbox.status()).versions == {"blue": "2.0.9", "green": "2.1.0"}


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "red", "version": "2.1.0"},
        {"colour": "green", "version": "../2.1.0"},
        {"colour": "green", "version": "2.1.0\n"},
        {"colour": "green", "version": ""},
        {"colour": "green", "version": "2" * 65},
        {"colour": "green", "version": 2.1},
        {"colour": ["green"], "version": "2.1.0"},
        {"colour": "green"},
        [],
    ],
)
async def test_a_malformed_deployment_is_refused(world: World, body: Any) -> None:
    """422, and what runs goes on."""
    url = world.sandbox.state.deploy_url
    assert (await world.http.post(url, json=body, headers=world.admin)).status_code == 422
    assert (await world.sandbox.status()).versions["green"] == "2.1.0"


async def test_a_broken_version_starts_and_never_becomes_healthy(world: World) -> None:
    """It tells its version, but its health is 503."""
    assert await world.deploy("2.1.0-broken") == 202
    for path, status in (("/version", 200), ("/healthz", 503)):
        answer = await world.http.get(f"{world.router}{path}", headers=world.internal())
        assert answer.status_code == status


async def test_a_dead_candidate_can_be_deployed_again(world: World) -> None:
    """A version whose process died does not count as running."""
    os.kill(world.sandbox.state.pids["green"], signal.SIGKILL)

    async def idle() -> bool:
        return (await world.sandbox.status()).versions["green"] is None

    await world.until(idle)
    assert (await world.sandbox.status()).candidate is None
    assert await world.deploy("2.1.0") == 202
    assert (await world.sandbox.status()).candidate == "green"
