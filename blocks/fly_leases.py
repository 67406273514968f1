"""Locks on machines: the epoch of a conductor stands in them, so that an older one has no effect.

A lease is not given back after a change: it ends by itself. Meanwhile whoever conducts with an older epoch, or
deploys by hand, is refused by the platform; a newer epoch takes it over.
"""

from __future__ import annotations

import re

from canary.blocks.fly_api import Conflicting, Machines
from canary.blocks.fly_wire import Lease
from canary.errors import ProviderError, ProviderUnavailable
from canary.ports import Clock

TTL = 60
"""Seconds of a lease; longer than any one change takes."""
_MARGIN = 20.0
"""Seconds before its end at which a lease is lengthened."""
_WORDS = "prefect-canary epoch"
_TRIES = 3


class Superseded(ProviderError):
    """A conductor with a newer epoch holds the machine: this one has no effect any more."""


class Leases:
    """The leases this process holds, by machine. A lost answer is found again: a lease names its epoch."""

    def __init__(self, api: Machines, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._ours: dict[str, tuple[int, str, float]] = {}

    async def nonce(self, machine: str, epoch: int) -> str:
        """What proves that this epoch may change the machine.

        Raises Superseded; ProviderUnavailable when somebody else, such as `fly deploy`, holds it.
        """
        ours, nonce, ends = self._ours.get(machine, (epoch, "", 0.0))
        if ours == epoch and ends - self._clock.monotonic() > _MARGIN:
            return nonce
        nonce = nonce if ours == epoch else ""
        for _ in range(_TRIES):
            asked = self._clock.monotonic()
            try:
                lease = await self._api.lease(machine, TTL, f"{_WORDS} {epoch}", nonce)
            except Conflicting:
                nonce = await self._held(machine, epoch)
                continue
            self._ours[machine] = (epoch, lease.nonce, asked + TTL)
            return lease.nonce
        raise ProviderUnavailable(
            f"{self._api.http.ref}: machine {machine}: its lease went from hand to hand", "try again"
        )

    def doubt(self, machine: str) -> None:
        """The platform did not take the nonce: ask for it again before the next change."""
        self._ours.pop(machine, None)

    async def _held(self, machine: str, epoch: int) -> str:
        """Our own nonce again, or "" when the way is free now."""
        lease = await self._api.held(machine)
        if lease is None:
            return ""
        theirs = _epoch(lease)
        if theirs is None:
            raise ProviderUnavailable(
                f"{self._api.http.ref}: machine {machine} is leased by {self._api.http.hide(lease.owner) or 'somebody'}"
                f" ({self._api.http.hide(lease.description) or 'no description'}): nothing was changed there",
                "is a fly deploy under way? its lease ends by itself, or with: fly machine leases clear",
            )
        if theirs > epoch:
            raise Superseded(
                f"{self._api.http.ref}: machine {machine} belongs to the conductor of epoch {theirs}; this one has "
                f"{epoch}: nothing was changed there",
                "another process conducts this rollout now: canary status",
            )
        if theirs == epoch:
            return lease.nonce
        await self._api.release(machine, lease.nonce)
        return ""


def _epoch(lease: Lease) -> int | None:
    found = re.fullmatch(rf"{_WORDS} (\d+)", lease.description)
    return int(found[1]) if found else None
