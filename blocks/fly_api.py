"""Requests to Fly's Machines API, one method each. Source: https://fly.io/docs/machines/api/machines-resource/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from canary.blocks.fly_wire import Lease, Machine
from canary.blocks.http import Answer, Credential, Http, shown_url
from canary.errors import ProviderError, ProviderUnavailable
from canary.ports import Clock

T = TypeVar("T")
NONCE = "fly-machine-lease-nonce"
TRIES = 3
"""How often a request is sent that is told to come later: 429 means that it had no effect."""
LATER_SECONDS = 1.0
"""What 429 without Retry-After asks for: one request a second and action is allowed."""
MOST_LATER_SECONDS = 2.0
"""More is not waited for: the whole verb has six."""
_MACHINE, _MACHINES, _LEASE = TypeAdapter(Machine), TypeAdapter(list[Machine]), TypeAdapter(Lease)


class NotThere(ProviderError):
    """404: no such app, machine or lease."""


class Conflicting(ProviderError):
    """409 or 412: leased by another, changed meanwhile, or the name is taken. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines of one app. Methods raise CredentialError, ProviderError and ProviderUnavailable.

    `machines`: the address, …/v1/apps/APP/machines.
    """

    http: Http
    clock: Clock
    as_: Credential
    machines: str

    async def list(self) -> list[Machine]:
        """Every machine of the app that is not gone."""
        machines = await self._read(_MACHINES, "GET", "")
        self.http.no_echo(f"GET {shown_url(self.machines)}", [word for machine in machines for word in machine.told()])
        return machines

    async def get(self, machine: str) -> Machine:
        return await self._one("GET", f"/{machine}")

    async def create(self, body: Mapping[str, Any]) -> Machine:
        """Raises Conflicting when the name is taken."""
        return await self._one("POST", "", json=body)

    async def update(self, machine: str, body: Mapping[str, Any], nonce: str) -> Machine:
        """Raises Conflicting when `current_version` is not the machine's any more, or the lease is not ours."""
        return await self._one("POST", f"/{machine}", nonce, json=body)

    async def delete(self, machine: str) -> None:
        """Stop it and delete it; one that is not there is deleted."""
        try:
            await self._asked("DELETE", f"/{machine}", params={"force": "true"})
        except NotThere:
            return

    async def lease(self, machine: str, ttl: int, description: str, nonce: str) -> Lease:
        """A lock for `ttl` seconds, or the one of that nonce for so much longer. Raises Conflicting."""
        body = {"ttl": ttl, "description": description}
        return await self._read(_LEASE, "POST", f"/{machine}/lease", nonce, json=body)

    async def held(self, machine: str) -> Lease | None:
        """Who holds the lock now."""
        try:
            return await self._read(_LEASE, "GET", f"/{machine}/lease")
        except NotThere:
            return None

    async def release(self, machine: str, nonce: str) -> None:
        """End the lock of that nonce; one that has ended already is ended."""
        try:
            await self._asked("DELETE", f"/{machine}/lease", nonce)
        except (NotThere, Conflicting):
            return

    async def wait(self, machine: Machine, seconds: int) -> None:
        """Until that version of the machine is started, or so many seconds (at most 60) are over: 408."""
        wanted: dict[str, str | int] = {"version": machine.instance_id, "state": "started", "timeout": seconds}
        answer = await self._send("GET", f"/{machine.id}/wait", params=wanted, deadline=seconds + 5.0)
        if answer.status != 408:
            self.http.accept(answer, f"GET {shown_url(self.machines)}/{machine.id}/wait", self.as_.of)

    async def _one(self, method: str, path: str, nonce: str = "", **content: Any) -> Machine:
        machine = await self._read(_MACHINE, method, path, nonce, **content)
        # Ids and images are journaled, and stand in errors: one that repeats the token is none.
        self.http.no_echo(f"{method} {shown_url(self.machines)}{path}", machine.told())
        return machine

    async def _read(self, shape: TypeAdapter[T], method: str, path: str, nonce: str = "", **content: Any) -> T:
        said = await self._asked(method, path, nonce, **content)
        where = f"{method} {shown_url(self.machines)}{path}"
        document = self.http.document(said, where, self.as_.of)
        # Leases come inside {"status": …, "data": …}; the API's OpenAPI description shows them bare.
        if shape is _LEASE and isinstance(document, dict):
            document = document.get("data", document)
        try:
            return shape.validate_python(document)
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            failure = ProviderUnavailable(
                f"{self.http.ref}: {where} answered something else than the Machines API does: {place}: {first['msg']}",
                "check the block's api_url",
            )
        # Outside of the handler: what pydantic raises still has the answer, and would be the context of this error.
        raise failure

    async def _asked(self, method: str, path: str, nonce: str = "", **content: Any) -> Answer:
        answer = await self._send(method, path, nonce, **content)
        where = f"{method} {shown_url(self.machines)}{path}"
        try:
            self.http.accept(answer, where, self.as_.of)
        except ProviderError as error:
            if answer.status == 404:
                raise NotThere(error.what, "look at the block's app, and at: fly machine list") from None
            if answer.status in (409, 412):
                raise Conflicting(error.what, "nothing was done; it is tried anew with what is there now") from None
            raise
        return answer

    async def _send(self, method: str, path: str, nonce: str = "", **content: Any) -> Answer:
        headers = {**self.as_.headers, **({NONCE: nonce} if nonce else {})}
        as_ = Credential(self.as_.of, headers)
        answer = await self.http.send(method, self.machines + path, as_=as_, **content)
        for _ in range(TRIES - 1):
            if answer.status != 429:
                break
            await self.clock.sleep(_later(answer))
            answer = await self.http.send(method, self.machines + path, as_=as_, **content)
        return answer


def _later(answer: Answer) -> float:
    try:
        seconds = float(json.loads(answer.headers.get("retry-after", "")))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return LATER_SECONDS
    return min(max(0.0, seconds), MOST_LATER_SECONDS)
