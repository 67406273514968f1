"""Fly on this machine: a server that speaks its Machines API, with regions, leases, limits and ways to misbehave.

What it answers, and where that is documented: https://fly.io/docs/machines/api/machines-resource/ (bodies, 201 for
a lease, 204 for metadata, 408 for a wait that is over) and https://github.com/superfly/fly-go (409 for a lease that
another holds, for a version that is not the newest, and for a name that is taken; the header fly-request-id).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

from canary.blocks.clock import SystemClock
from canary.blocks.fly_image import Image
from canary.ports import Clock
from canary.testing.fly_machines import FakeLease, FakeMachine, Fates, Rates, default_config
from canary.testing.provider import Asked, Knobs

TOKEN = "FlyV1 fm2_local-t0ken"
APP = "docflow-api"
STABLE, CANDIDATE = "registry.fly.io/docflow:v2.0.9", "registry.fly.io/docflow:v2.1.0"
_NONCE = "fly-machine-lease-nonce"
_Handler = Callable[["FlyServer", web.Request, FakeMachine], Awaitable[web.Response]]


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


@dataclass(slots=True)
class FlyServer:
    """One app. Use it by `serving(FlyServer(...))` of canary.testing.provider.

    images: reference → digest, what the registry has; take one out and it is pruned.
    machines: by id; `add`, `change`, `rest` and `remove` do by hand what flyctl would.
    stale_reads: so many of the next reads show every machine as it was before its last change.
    """

    clock: Clock = field(default_factory=SystemClock)
    images: dict[str, str] = field(default_factory=lambda: {STABLE: _digest(1), CANDIDATE: _digest(2)})
    machines: dict[str, FakeMachine] = field(default_factory=dict)
    fates: Fates = field(default_factory=Fates)
    stale_reads: int = 0
    knobs: Knobs = field(default_factory=Knobs)
    log: list[Asked] = field(default_factory=list)
    url: str = ""
    _rates: Rates = field(default_factory=Rates)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def fields(self) -> dict[str, Any]:
        """Plain values of a FlyApp block that reaches it."""
        return {"app": APP, "token": TOKEN, "api_url": self.url}

    # --- by hand ----------------------------------------------------------------------------------------

    def add(self, region: str, image: str = STABLE, group: str = "app", **config: Any) -> FakeMachine:
        """A machine made by hand; users reach it."""
        return self._made(f"by-hand-{len(self.machines)}", region, default_config(image, group, config))

    def change(self, machine: FakeMachine, image: str) -> None:
        """Another image, by hand."""
        self._update(machine, {**machine.config, "image": image}, launch=True)

    def rest(self, machine: FakeMachine, state: str = "stopped") -> None:
        """Stopped or suspended, as by the proxy."""
        machine.resting = state

    def remove(self, machine: FakeMachine) -> None:
        """Destroyed."""
        del self.machines[machine.id]

    def runs(self, reference: str) -> list[FakeMachine]:
        """The machines that users reach and that really run that image."""
        digest = self.images.get(reference)
        return [m for m in self.machines.values() if m.registered and m.image.digest == digest]

    def shares(self) -> dict[str, float]:
        """Image → share of the users, 0–1, whom the proxy spreads over the machines that serve; empty without any."""
        now = self.clock.now()
        serving = [str(m.image) for m in self.machines.values() if m.registered and self.fates.healthy(m, now)]
        return {image: serving.count(image) / len(serving) for image in dict.fromkeys(serving)}

    # --- the provider -----------------------------------------------------------------------------------

    def allows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def refusal(self, status: int, message: str) -> web.Response:
        return web.json_response({"error": message}, status=status, headers={"fly-request-id": "01FLYREQUEST-fra"})

    def routes(self) -> list[web.RouteDef]:
        base = f"/v1/apps/{APP}/machines"
        one = f"{base}/{{machine}}"
        return [
            web.get(base, self._listed),
            web.post(base, self._created),
            web.get(one, self._at(_get, "get")),
            web.post(one, self._at(_updated, "update")),
            web.delete(one, self._at(_deleted, "delete")),
            web.get(f"{one}/wait", self._at(_waited, "wait")),
            web.get(f"{one}/lease", self._at(_lease_shown, "show lease")),
            web.post(f"{one}/lease", self._at(_leased, "lease")),
            web.delete(f"{one}/lease", self._at(_released, "release")),
            web.post(f"{one}/cordon", self._at(_cordoned, "cordon")),
            web.post(f"{one}/uncordon", self._at(_uncordoned, "uncordon")),
            web.get(f"{one}/versions", self._at(_versions, "versions")),
            web.get(f"{one}/metadata", self._at(_metadata, "metadata")),
            web.post(f"{one}/metadata/{{key}}", self._at(_metadata_set, "set metadata")),
        ]

    def _at(self, handler: _Handler, action: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            machine = self.machines.get(request.match_info["machine"])
            if machine is None:
                raise web.HTTPNotFound(text="machine not found")
            self._limit(action, machine.id)
            return await handler(self, request, machine)

        return handle

    def _limit(self, action: str, of: str) -> None:
        if not self._rates.allow(action, of, self.clock.now()):
            raise web.HTTPTooManyRequests(text=f"rate limit exceeded: {action}")

    async def _listed(self, request: web.Request) -> web.Response:
        self._limit("list", APP)
        wanted = {
            name.removeprefix("metadata."): v for name, v in request.query.items() if name.startswith("metadata.")
        }
        region = request.query.get("region")
        found = [m for m in self.machines.values() if not region or m.region == region]
        found = [m for m in found if wanted.items() <= (m.config.get("metadata") or {}).items()]
        return web.json_response(self._shown(*found))

    async def _created(self, request: web.Request) -> web.Response:
        self._limit("create", APP)
        asked = await request.json()
        name = asked.get("name") or f"machine-{len(self.machines)}"
        for machine in self.machines.values():
            if machine.name == name:
                said = f"already_exists: unique machine name violation, machine ID {machine.id} already exists"
                raise web.HTTPConflict(text=f'{said} with name "{name}"')
        made = self._made(name, asked.get("region") or "fra", asked["config"])
        made.registered = not asked.get("skip_service_registration", False)
        made.resting = "created" if asked.get("skip_launch") else ""
        return web.json_response(self.fates.shown(made, self.clock.now()))

    # --- state ------------------------------------------------------------------------------------------

    def _shown(self, *machines: FakeMachine) -> list[dict[str, Any]]:
        stale, self.stale_reads = self.stale_reads > 0, max(0, self.stale_reads - 1)
        now = self.clock.now()
        return [m.before if stale and m.before else self.fates.shown(m, now) for m in machines]

    def _made(self, name: str, region: str, config: dict[str, Any]) -> FakeMachine:
        image = self._resolved(config["image"])
        number = next(self._numbers)
        machine = FakeMachine(
            f"{0x3D8D0000 + number:014x}", name, region, config, image, self._instance(), self.clock.now()
        )
        machine.versions.append((machine.instance_id, config))
        self.machines[machine.id] = machine
        return machine

    def _update(self, machine: FakeMachine, config: dict[str, Any], *, launch: bool) -> None:
        image = self._resolved(config["image"])
        machine.before = self.fates.shown(machine, self.clock.now())
        machine.image, machine.config, machine.instance_id = image, config, self._instance()
        machine.began, machine.resting = self.clock.now(), "" if launch else "stopped"
        machine.versions.append((machine.instance_id, config))

    def _instance(self) -> str:
        return f"01HV{next(self._numbers):022d}"

    def _resolved(self, reference: str) -> Image:
        """With its digest, as the registry has it now."""
        asked = Image.parse(reference)
        for name, digest in self.images.items():
            known = Image.parse(f"{name.partition('@')[0]}@{digest}")
            if (asked.registry, asked.repository) != (known.registry, known.repository):
                continue
            if asked.digest == digest or (not asked.digest and asked.tag == known.tag):
                return Image(known.registry, known.repository, asked.tag, digest)
        raise web.HTTPBadRequest(text=f'Could not find image "{reference}"')

    def held(self, request: web.Request, machine: FakeMachine) -> None:
        """Raises 409 for who is not the holder of the machine's lease."""
        lease = machine.leased(self.clock.now())
        if lease and request.headers.get(_NONCE) != lease.nonce:
            until = datetime.fromtimestamp(lease.expires_at, UTC).isoformat()
            said = f"aborted: machine ID {machine.id} lease currently held by {lease.owner}, expires at {until}"
            raise web.HTTPConflict(text=said)


async def _get(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    return web.json_response(fly._shown(machine)[0])


async def _updated(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    asked = await request.json()
    fly.held(request, machine)
    if asked.get("current_version") not in (None, "", machine.instance_id):
        raise web.HTTPConflict(text="aborted: machine update failed due to concurrent update")
    fly._update(machine, asked["config"], launch=not asked.get("skip_launch", False))
    if asked.get("skip_service_registration"):
        machine.registered = False
    return web.json_response(fly.fates.shown(machine, fly.clock.now()))


async def _deleted(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    fly.held(request, machine)
    if fly.fates.state(machine, fly.clock.now()) == "started" and request.query.get("force") != "true":
        raise web.HTTPPreconditionFailed(text="failed_precondition: unable to destroy machine, not currently stopped")
    fly.remove(machine)
    return web.json_response({"ok": True})


async def _waited(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    wanted = request.query.get("state", "started")
    version = request.query.get("version", machine.instance_id)
    ends = fly.clock.now() + float(request.query.get("timeout", "60"))
    while version != machine.instance_id or fly.fates.state(machine, fly.clock.now()) != wanted:
        if fly.clock.now() >= ends:
            raise web.HTTPRequestTimeout(text=f"deadline_exceeded: machine failed to reach desired state, {wanted}")
        await fly.clock.sleep(0.2)
        await asyncio.sleep(0)
    return web.json_response({"ok": True, "state": wanted, "version": version, "event_id": "01EVENT"})


def _lease(lease: FakeLease, machine: FakeMachine, status: int) -> web.Response:
    data = {
        "nonce": lease.nonce,
        "expires_at": int(lease.expires_at),
        "owner": lease.owner,
        "description": lease.description,
        "version": machine.instance_id,
    }
    return web.json_response({"status": "success", "data": data}, status=status)


async def _lease_shown(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    lease = machine.leased(fly.clock.now())
    if lease is None:
        raise web.HTTPNotFound(text="lease not found")
    return _lease(lease, machine, 200)


async def _leased(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    fly.held(request, machine)
    asked = await request.json() if await request.read() else {}
    held = machine.leased(fly.clock.now())
    nonce = held.nonce if held else f"{next(fly._numbers):012x}"
    machine.lease = FakeLease(nonce, fly.clock.now() + asked.get("ttl", 30), asked.get("description", ""))
    return _lease(machine.lease, machine, 201)


async def _released(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    if machine.leased(fly.clock.now()) is None:
        raise web.HTTPNotFound(text="lease not found")
    fly.held(request, machine)
    machine.lease = None
    return web.json_response({"status": "success", "data": {"ok": True}})


async def _cordoned(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    machine.registered = False
    return web.json_response({"ok": True})


async def _uncordoned(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    machine.registered = True
    return web.json_response({"ok": True})


async def _versions(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    return web.json_response([{"version": v, "user_config": config} for v, config in reversed(machine.versions)])


async def _metadata(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    return web.json_response(machine.config.get("metadata") or {})


async def _metadata_set(fly: FlyServer, request: web.Request, machine: FakeMachine) -> web.Response:
    value = (await request.json())["value"]
    machine.config = {**machine.config, "metadata": {**machine.config["metadata"], request.match_info["key"]: value}}
    return web.Response(status=204)
