"""The local Fly does what Fly documents: limits, leases, versions, states."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from canary.testing.clock import FakeClock
from canary.testing.fly import APP, CANDIDATE, STABLE, TOKEN, FlyServer
from canary.testing.provider import serving


@pytest.fixture
async def server() -> AsyncIterator[FlyServer]:
    """One machine in Amsterdam."""
    fly = FlyServer(FakeClock())
    fly.add("ams")
    async with serving(fly):
        yield fly


@pytest.fixture
async def client(server: FlyServer) -> AsyncIterator[httpx.AsyncClient]:
    """With the token; paths below the app's machines."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{server.url}/v1/apps/{APP}", headers=headers) as client:
        yield client


def _one(server: FlyServer) -> str:
    return next(iter(server.machines))


@pytest.mark.parametrize(("path", "burst", "rate"), [("", 3, 1), ("/{one}", 10, 5), ("/{one}/metadata", 3, 1)])
async def test_requests_are_limited_by_action(
    server: FlyServer, client: httpx.AsyncClient, path: str, burst: int, rate: int
) -> None:
    """One a second after three for each action and machine; ten and five for reading a machine."""
    path = "/machines" + path.format(one=_one(server))
    seen = [(await client.get(path)).status_code for _ in range(burst + 1)]
    assert seen == [200] * burst + [429]
    server.clock.stand_still(1.0)  # type: ignore[attr-defined]
    assert [(await client.get(path)).status_code for _ in range(rate + 1)] == [200] * rate + [429]


async def test_a_lease_keeps_others_out_until_it_ends(server: FlyServer, client: httpx.AsyncClient) -> None:
    """201 with a nonce; 409 without it, for a change and for another lease; it is lengthened, released, or ends."""
    one, lease = f"/machines/{_one(server)}", f"/machines/{_one(server)}/lease"
    assert (await client.get(lease)).status_code == 404
    first = await client.post(lease, json={"ttl": 10, "description": "mine"})
    assert first.status_code == 201
    held = {"fly-machine-lease-nonce": first.json()["data"]["nonce"]}
    assert (await client.get(lease)).json()["data"]["description"] == "mine"
    for _ in range(2):
        refused = await client.post(one, json={"config": {"image": CANDIDATE}})
        assert refused.status_code == 409
        assert "lease currently held by canary@tokens.fly.io, expires at 2027" in refused.json()["error"]
    assert (await client.post(lease, json={"ttl": 10}, headers=held)).json()["data"]["nonce"] == first.json()["data"][
        "nonce"
    ]
    assert (await client.post(one, json={"config": {"image": CANDIDATE}}, headers=held)).status_code == 200
    assert (await client.delete(lease, headers=held)).status_code == 200
    assert (await client.delete(lease, headers=held)).status_code == 404
    await client.post(lease, json={"ttl": 10})
    server.clock.stand_still(10.0)  # type: ignore[attr-defined]
    assert (await client.post(one, json={"config": {"image": STABLE}})).status_code == 200


async def test_an_update_from_an_old_version_is_refused(server: FlyServer, client: httpx.AsyncClient) -> None:
    """409; with the newest version it is a new version, and both are listed, newest first."""
    one = f"/machines/{_one(server)}"
    first = (await client.get(one)).json()["instance_id"]
    body = {"config": {"image": CANDIDATE}, "current_version": first}
    second = (await client.post(one, json=body)).json()["instance_id"]
    assert second > first
    refused = await client.post(one, json=body)
    assert (refused.status_code, refused.json()) == (
        409,
        {"error": "aborted: machine update failed due to concurrent update"},
    )
    assert refused.headers["fly-request-id"]
    assert [v["version"] for v in (await client.get(f"{one}/versions")).json()] == [second, first]


async def test_a_wait_ends_with_the_state_or_with_408(server: FlyServer, client: httpx.AsyncClient) -> None:
    """It is held open until the machine has started, at most for its time-out."""
    server.fates.boot_seconds = 5.0
    one = _one(server)
    server.change(server.machines[one], CANDIDATE)
    wait = {"state": "started", "timeout": 2}
    assert (await client.get(f"/machines/{one}/wait", params=wait)).status_code == 408
    assert (await client.get(f"/machines/{one}/wait", params=wait)).status_code == 408
    done = await client.get(f"/machines/{one}/wait", params=wait)
    assert (done.status_code, done.json()["ok"]) == (200, True)
    assert (await client.get(f"/machines/{one}/wait", params={"version": "01OLD", "timeout": 1})).status_code == 408


async def test_machines_in_and_out_of_the_proxy(server: FlyServer, client: httpx.AsyncClient) -> None:
    """Cordoned, uncordoned, made without registration; a name is taken once; a running one is deleted by force."""
    one = _one(server)
    await client.post(f"/machines/{one}/cordon")
    assert server.runs(STABLE) == []
    await client.post(f"/machines/{one}/uncordon")
    assert [m.id for m in server.runs(STABLE)] == [one]
    body = {"name": "x", "region": "fra", "config": {"image": CANDIDATE}, "skip_service_registration": True}
    made = (await client.post("/machines", json=body)).json()
    assert (made["state"], made["image_ref"]["digest"], made["checks"]) == ("started", server.images[CANDIDATE], None)
    assert server.runs(CANDIDATE) == []
    taken = await client.post("/machines", json=body)
    assert (taken.status_code, "unique machine name violation" in taken.json()["error"]) == (409, True)
    assert (await client.delete(f"/machines/{made['id']}")).status_code == 412
    assert (await client.delete(f"/machines/{made['id']}", params={"force": "true"})).json() == {"ok": True}
    assert (await client.get(f"/machines/{made['id']}")).status_code == 404


async def test_metadata_and_filters(server: FlyServer, client: httpx.AsyncClient) -> None:
    """204 without a body or a content type; what was set is found by it, and by region."""
    one = _one(server)
    done = await client.post(f"/machines/{one}/metadata/team", json={"value": "docs"})
    assert (done.status_code, done.content, "content-type" in done.headers) == (204, b"", False)
    assert (await client.get(f"/machines/{one}/metadata")).json()["team"] == "docs"
    server.add("fra")
    assert [m["id"] for m in (await client.get("/machines", params={"metadata.team": "docs"})).json()] == [one]
    assert [m["region"] for m in (await client.get("/machines", params={"region": "fra"})).json()] == ["fra"]


async def test_fates_of_images(server: FlyServer, client: httpx.AsyncClient) -> None:
    """Starting, then started and critical, then passing; never passing; failed; and an image that is not there."""
    machine = server.machines[_one(server)]
    server.fates.boot_seconds, server.fates.health_seconds = 2.0, 3.0
    server.change(machine, CANDIDATE)
    seen = []
    for _ in range(3):
        said = (await client.get(f"/machines/{machine.id}")).json()
        seen.append((said["state"], said["checks"][0]["status"]))
        server.clock.stand_still(2.6)  # type: ignore[attr-defined]
    assert seen == [("starting", "critical"), ("started", "critical"), ("started", "passing")]
    server.fates.unhealthy.add(CANDIDATE)
    assert (await client.get(f"/machines/{machine.id}")).json()["checks"][0]["status"] == "critical"
    server.fates.broken.add(CANDIDATE)
    assert (await client.get(f"/machines/{machine.id}")).json()["state"] == "failed"
    del server.images[STABLE]
    pruned = await client.post(f"/machines/{machine.id}", json={"config": {"image": STABLE}})
    assert (pruned.status_code, "Could not find image" in pruned.json()["error"]) == (400, True)


async def test_reads_may_lag(server: FlyServer, client: httpx.AsyncClient) -> None:
    """A stale read shows the machine as it was before its last change."""
    machine = server.machines[_one(server)]
    server.change(machine, CANDIDATE)
    server.stale_reads = 1
    tags = [(await client.get("/machines")).json()[0]["image_ref"]["tag"] for _ in range(2)]
    assert tags == ["v2.0.9", "v2.1.0"]
