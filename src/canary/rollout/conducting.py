"""Becoming a rollout's conductor: the plan from the journal, the lock, the sealed adapters, the folded state."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from canary.errors import CanaryError, Conflict, JournalUnavailable, Refused, ServiceBusy, UnknownRollout
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.ports import Clock, Journal, Shelf, StoredPlan, Vault
from canary.rollout import events as e
from canary.rollout.adapters import Adapters, Opener, open_adapters
from canary.rollout.backtested import insist_on_backtest
from canary.rollout.checklist import insist, look_at_checklist
from canary.rollout.closing import Closing
from canary.rollout.conductor import Conductor
from canary.rollout.former import former_baseline
from canary.rollout.judging import JudgeOf, judge_of
from canary.rollout.lease import LEASE, Lease
from canary.rollout.people import read_state
from canary.rollout.preflight import Load, preflight, seal
from canary.rollout.record import RETRY_EVERY, Listener, Record, Spool


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives a process, and the clock."""

    journal: Journal
    vault: Vault
    spool: Spool
    clock: Clock
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class Start:
    """Who wants which version rolled out by which plan, and how that was said."""

    rollout: str
    plan_hash: str
    version: str
    requested_by: str
    how: str
    flow_run: str | None = None


def holder() -> str:
    """This process, as people can find it."""
    return f"{socket.gethostname()}:{os.getpid()}"


async def stored_plan(journal: Journal, plan_hash: str) -> StoredPlan:
    """Raises UnknownRollout when the journal has no such plan."""
    stored = await journal.plan(plan_hash)
    if stored is None:
        raise UnknownRollout(
            f"this journal has no plan with the hash {plan_hash[:12]}…",
            "deploy it from here: canary deploy PLAN (CANARY_JOURNAL_URL must be the same for both)",
        )
    return stored


async def begin(stores: Stores, start: Start) -> None:
    """Journal the rollout's first line, once. Raises ServiceBusy when its service is being rolled out."""
    stored = await stored_plan(stores.journal, start.plan_hash)
    for lock in await stores.journal.locks():
        if lock.service == stored.service and lock.rollout != start.rollout:
            raise ServiceBusy(stored.service, lock.rollout)
    started = e.RolloutStarted(
        plan=stored.name,
        plan_hash=stored.hash,
        service=stored.service,
        version=start.version,
        requested_by=start.requested_by,
        how=start.how,
        flow_run=start.flow_run,
    )
    try:
        await stores.journal.append(start.rollout, 0, [started.entry(stores.clock.now())])
    except Conflict:
        return


@dataclass(frozen=True, slots=True)
class Seat:
    """The conductor's place, taken: the plan, the folded record, and the lease that is being renewed."""

    plan: Plan
    record: Record
    lease: Lease
    stores: Stores

    @property
    def passed_preflight(self) -> bool:
        return bool(self.record.state.release)


@asynccontextmanager
async def taking(stores: Stores, rollout: str, listeners: Sequence[Listener] = ()) -> AsyncIterator[Seat]:
    """Take the service's lock for a rollout that has begun, and keep it until the end of the block.

    Raises LeaseLost while somebody else conducts it, ServiceBusy, UnknownRollout.
    """
    await stores.spool.flush(stores.journal)
    state = await read_state(stores.journal, rollout)
    plan = parse_plan((await stored_plan(stores.journal, state.plan_hash)).body)
    lease = await Lease.take(stores.journal, stores.clock, state.service, rollout, holder())
    record = Record(stores.journal, stores.clock, rollout, stores.spool)
    record.lock, lease.silence = lease.lock, record.silence
    record.silence.lease_ends = lease.ends
    record.listeners.extend(listeners)
    keeping = asyncio.create_task(lease.keep())
    try:
        await record.refresh()
        await record.tell(e.ConductorTook(holder=lease.lock.holder, epoch=lease.lock.epoch, lease_seconds=LEASE))
        yield Seat(plan, record, lease, stores)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        if not record.state.ended:
            # Without an answer the lease runs out by itself; what went wrong before must not be hidden by it.
            with contextlib.suppress(JournalUnavailable):
                await lease.give_up()


async def pass_preflight(seat: Seat, load: Load, opener: Opener) -> Adapters:
    """The adapters, made from sealed fields. When preflight has passed before, the vault's are opened.

    Raises Refused (CredentialError among them), VaultError, ProviderUnavailable: nothing was touched.
    """
    record, vault = seat.record, seat.stores.vault
    if not seat.passed_preflight:
        # An earlier try of this process may have passed, without an answer.
        await record.refresh()
    if record.state.ended:
        raise Refused(f"rollout {record.state.rollout} has ended meanwhile: {record.state.ended.reason}")
    if seat.passed_preflight:
        return open_adapters(seat.plan, await vault.open(record.state.rollout), opener)
    await insist_on_backtest(seat.plan, seat.stores.journal)
    adapters = await seal(seat.plan, record.state.rollout, load, vault, opener)
    try:
        looked = await look_at_checklist(seat.plan, adapters, seat.stores.clock)
        if looked:
            await record.tell(*looked)
        insist(looked)
        passed = await preflight(seat.plan, record.state.version, adapters, seat.stores.clock)
        former = await former_baseline(seat.stores.journal, seat.plan.service)
        await _passed(record, passed.model_copy(update={"former": former}))
    except BaseException:
        await adapters.close()
        raise
    return adapters


async def _passed(record: Record, line: e.PreflightPassed) -> None:
    """Once: the line of an earlier try, whose answer was lost, may stand there by now."""
    while not record.state.release:
        try:
            await record.decide(line)
        except Conflict:
            await record.refresh()
        except JournalUnavailable:
            if record.too_silent:
                raise
            await record.clock.sleep(RETRY_EVERY)


async def refuse(seat: Seat, why: CanaryError) -> None:
    """Preflight said no: the rollout ends with nothing touched, and the service is free.

    Raises `why` where preflight has passed before: users may be on the candidate, and whoever comes next sees to them.
    """
    if seat.passed_preflight and not seat.record.state.ended:
        raise why
    ended = e.RolloutEnded(outcome="refused", phase="preflight", reason=str(why), verified=True)
    if not seat.record.state.ended:
        await seat.record.tell(ended)
    await seat.stores.vault.drop(seat.record.state.rollout)
    await seat.lease.release()


@asynccontextmanager
async def conducting(seat: Seat, adapters: Adapters, judge_of: JudgeOf = judge_of) -> AsyncIterator[Conductor]:
    """The conductor at work: messages are delivered and people's entries looked for until the end of the block."""
    stores = seat.stores
    closing = Closing(seat.plan, stores.clock, stores.shelf, adapters.announce, adapters.dashboards)
    conductor = Conductor(seat.plan, seat.record, seat.lease, adapters, stores.vault, closing, judge_of)
    try:
        async with conductor.alive():
            yield conductor
    finally:
        await adapters.close()
