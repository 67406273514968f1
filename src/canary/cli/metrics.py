"""The guard's own /metrics, so that somebody else's Prometheus sees a dead conductor, and a dead guard.

One series a service that is being rolled out: once its rollout is over and its lock free, they end. What the
journal does not say now is not told: with the journal away only `canary_journal_up` and the guard's last look are.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from canary.errors import BadUsage, JournalError, JournalUnavailable
from canary.guard import Guard
from canary.journal.fencing import FREED
from canary.plan.model import Plan
from canary.ports import Clock, Journal, Lock
from canary.rollout.following import Following
from canary.rollout.history import Story, plan_of
from canary.rollout.state import State
from canary.rollout.view import TargetRow, View, view

FRESH_FOR = 1.0
"""Seconds for which one reading of the journal answers every scrape."""
ANSWER_WITHIN = 5.0
"""Seconds a scrape waits for the journal: half of what Prometheus waits for us."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A service that is being rolled out; no view when its journal cannot be read by this version."""

    lock: Lock
    seen: View | None


class Reader:
    """What the journal says of every locked service. Keeps the folded states, and reads only what is new."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self._following = Following(journal)
        self._plans: dict[str, Plan | None] = {}
        self._read: tuple[UnderWay, ...] | None = None
        self._read_at = -math.inf
        self._one_at_a_time = asyncio.Lock()

    async def read(self) -> tuple[UnderWay, ...] | None:
        """None when the journal does not answer."""
        async with self._one_at_a_time:
            if self.clock.monotonic() - self._read_at >= FRESH_FOR:
                self._read = await self._anew()
                self._read_at = self.clock.monotonic()
            return self._read

    async def _anew(self) -> tuple[UnderWay, ...] | None:
        try:
            locks = await self.journal.locks()
            self._following.forget_all_but({lock.rollout for lock in locks})
            return tuple([UnderWay(lock, await self._seen(lock.rollout)) for lock in locks])
        except JournalUnavailable:
            return None

    async def _seen(self, rollout: str) -> View | None:
        try:
            state = await self._following.of(rollout)
        except JournalUnavailable:
            raise
        except JournalError:
            return None
        return view(Story(state), await self._plan(state), self.clock.now())

    async def _plan(self, state: State) -> Plan | None:
        if state.plan_hash not in self._plans:
            self._plans[state.plan_hash] = await plan_of(self.journal, state)
        return self._plans[state.plan_hash]


class Exporter(Collector):
    """Readings → metric families. `read` may be called from any thread; `looked_at` is in unix seconds."""

    def __init__(
        self,
        read: Callable[[], tuple[UnderWay, ...] | None],
        now: Callable[[], float],
        looked_at: Callable[[], float | None],
    ) -> None:
        self._read = read
        self._now = now
        self._looked_at = looked_at

    def collect(self) -> Iterator[GaugeMetricFamily]:
        under_way = self._read()
        yield GaugeMetricFamily(
            "canary_journal_up", "Whether the journal answers (1) or not (0).", float(under_way is not None)
        )
        if (looked_at := self._looked_at()) is not None:
            about = "Unix time at which the guard last read every lock."
            yield GaugeMetricFamily("canary_guard_last_look_timestamp_seconds", about, looked_at)
        if under_way is not None:
            yield _rollouts(under_way)
            yield _leases(under_way, self._now())
            yield _exposures(under_way)


def _rollouts(under_way: tuple[UnderWay, ...]) -> GaugeMetricFamily:
    family = _family("canary_rollouts", "Rollouts under way.", "service", "phase", "standing")
    for each in under_way:
        phase, stands = (each.seen.phase, each.seen.standing) if each.seen else ("", "unreadable")
        family.add_metric((each.lock.service, phase, stands), 1.0)
    return family


def _leases(under_way: tuple[UnderWay, ...], now: float) -> GaugeMetricFamily:
    about = "Seconds until the conductor's lease runs out: negative when it is dead, -Inf when it gave the lease back."
    family = _family("canary_conductor_lease_seconds", about, "service")
    for lock in (each.lock for each in under_way):
        family.add_metric((lock.service,), -math.inf if lock.lease_until == FREED else lock.lease_until - now)
    return family


def _exposures(under_way: tuple[UnderWay, ...]) -> GaugeMetricFamily:
    about = "Share of users on the candidate, 0-1: asked of the target, and observed there last."
    family = _family("canary_exposure_share", about, "service", "target", "kind")
    for service, row in _targets(under_way):
        family.add_metric((service, row.name, "asked"), row.asked)
        if row.observed is not None:
            # An unknown share is absent, and not 0.
            family.add_metric((service, row.name, "observed"), row.observed)
    return family


def _targets(under_way: tuple[UnderWay, ...]) -> Iterator[tuple[str, TargetRow]]:
    for each in under_way:
        for row in each.seen.targets if each.seen else ():
            yield each.lock.service, row


def _family(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=labels)


@asynccontextmanager
async def serving(guard: Guard, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the end of the block, from a thread of its own: it answers even if the guard's loop does not.

    The port served; a free one for port 0. Raises BadUsage when the address cannot be listened on.
    """
    stores, loop = guard.stores, asyncio.get_running_loop()
    reader = Reader(stores.journal, stores.clock)

    def read() -> tuple[UnderWay, ...] | None:
        asked = asyncio.run_coroutine_threadsafe(reader.read(), loop)
        try:
            return asked.result(ANSWER_WITHIN)
        except (TimeoutError, CancelledError):
            asked.cancel()
            return None

    registry = CollectorRegistry()
    registry.register(Exporter(read, stores.clock.now, lambda: guard.looked_at))
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        raise BadUsage(
            f"/metrics cannot be served on {host}:{port}: {error}",
            "give a free port with --metrics-port, and an address of this machine with --metrics-host",
        ) from error
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
