"""Machines are changed, as many as one call has time for; the next call goes on from what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from canary.blocks.fly_api import Conflicting, Machines
from canary.blocks.fly_fleet import Fleet, Images, Move, moves
from canary.blocks.fly_image import Image
from canary.blocks.fly_leases import Leases, Superseded
from canary.blocks.fly_wire import Machine
from canary.errors import CanaryError, CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Clock

SLICE = 4.0
"""Seconds after which a call begins nothing new, so that it answers within its deadline of six."""
_LOOK_SECONDS = 0.5
_AT_ONCE = 8
"""Machines asked at the same time."""
_Failures = dict[str, CanaryError]


class Mover:
    """What it remembers spares waiting; nothing rests on it: another process goes on as well."""

    def __init__(self, api: Machines, clock: Clock, ready_within: float) -> None:
        self._api = api
        self._clock = clock
        self._ready_within = ready_within
        self._leases = Leases(api, clock)
        self._changed: dict[str, float] = {}
        self._replaced: set[str] = set()

    def outdated(self, machines: Iterable[Machine]) -> Machine | None:
        """A machine that the platform shows as it was before a change that it has confirmed to us."""
        return next((m for m in machines if m.instance_id in self._replaced), None)

    async def toward(self, fleet: Fleet, images: Images, share: float, epoch: int) -> Fleet:
        """The fleet after a slice of time. Every machine is tried; then the first failure is raised.

        All machines are leased first, those too that need no change: a conductor with an older epoch moves none.
        """
        ends = self._clock.monotonic() + SLICE
        failures = await self._leased(fleet, epoch)
        while self._clock.monotonic() < ends:
            due = [m for m in moves(fleet, images, share, self._coming(fleet)) if m.machine.id not in failures]
            coming = self._coming(fleet)
            if due:
                work = {m.machine.id: partial(self._move, m, images, epoch, ends) for m in due}
            elif coming:
                await self._clock.sleep(_LOOK_SECONDS)
                work = {machine: partial(self._fresh, machine) for machine in sorted(coming) if machine not in failures}
            else:
                break
            for changed in await _each(work, failures):
                fleet = fleet.with_(changed)
        if failures:
            raise next(iter(failures.values()))
        return fleet

    async def _leased(self, fleet: Fleet, epoch: int) -> _Failures:
        failures: _Failures = {}
        await _each({m.id: partial(self._leases.nonce, m.id, epoch) for m in fleet.members}, failures)
        superseded = [failure for failure in failures.values() if isinstance(failure, Superseded)]
        if superseded:
            raise superseded[0]
        return failures

    async def _move(self, move: Move, images: Images, epoch: int, ends: float) -> Machine:
        """Lease, read, write the whole config with the version that was read: between two of these nobody comes."""
        nonce = await self._leases.nonce(move.machine.id, epoch)
        now = await self._fresh(move.machine.id)
        # Changed by somebody else, or no time is left: a process that stood still begins nothing.
        if images.side(now) != images.side(move.machine) or self._clock.monotonic() >= ends:
            return now
        self._changed[now.id] = self._clock.monotonic()
        try:
            changed = await self._api.update(now.id, changed_to(move.to, now), nonce)
        except Conflicting:
            self._leases.doubt(now.id)
            raise
        self._replaced.add(now.instance_id)
        return changed

    async def _fresh(self, machine: str) -> Machine:
        now = await self._api.get(machine)
        if self.outdated([now]):
            raise ProviderUnavailable(
                f"{self._api.http.ref}: {now.where} is still shown as it was before its last change",
                "the platform's answers lag behind; it is tried again",
            )
        return now

    def _coming(self, fleet: Fleet) -> frozenset[str]:
        """Changed by us not long ago, and not back yet. A machine that slept and may sleep on is back."""
        since = self._clock.monotonic() - self._ready_within
        away = (m for m in fleet.members if not (m.serving or m.asleep))
        return frozenset(m.id for m in away if self._changed.get(m.id, since) > since)


def changed_to(image: Image, machine: Machine, **more: Any) -> dict[str, Any]:
    """The body of an update: the whole config with another image. What sleeps is not woken by it."""
    config = {**machine.config, "image": str(image)}
    asleep = {"skip_launch": True} if machine.asleep else {}
    return {"config": config, "current_version": machine.instance_id, **asleep, **more}


async def _each(work: Mapping[str, Callable[[], Awaitable[Any]]], failures: _Failures) -> list[Any]:
    """The results, a few at the same time; what fails is put down by machine and stops no other."""
    room, done = asyncio.Semaphore(_AT_ONCE), []

    async def one(machine: str, job: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with room:
                done.append(await job())
        except (ProviderError, CredentialError) as error:
            failures[machine] = error

    async with asyncio.TaskGroup() as group:
        for machine, job in work.items():
            group.create_task(one(machine, job))
    return done
