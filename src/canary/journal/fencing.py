"""Who may conduct: the rules of the lock row, the same for every store."""

from __future__ import annotations

from dataclasses import dataclass

from canary.errors import Conflict, LeaseLost, ServiceBusy
from canary.ports import Lock

FREED = 0.0
"""The `lease_until` of a lease that was given back: before any time that a clock shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A service's lock row. It outlives its rollouts (rollout None: free), so that no epoch comes twice."""

    service: str
    rollout: str | None
    epoch: int
    holder: str
    lease_until: float


def taken(row: Row | None, wanted: Lock, now: float) -> Lock:
    """`wanted` with the epoch that follows the row's. Raises ServiceBusy or LeaseLost."""
    if row is None:
        return _with_epoch(wanted, 1)
    if row.rollout is not None and row.rollout != wanted.rollout:
        raise ServiceBusy(wanted.service, row.rollout)
    if row.rollout is not None and row.holder != wanted.holder and row.lease_until > now:
        raise LeaseLost(
            f"{row.holder} conducts {row.rollout}; its lease runs {row.lease_until - now:.1f} s more",
            "leave the rollout to it, or try again when its lease has run out",
        )
    return _with_epoch(wanted, row.epoch + 1)


def held(row: Row | None, lock: Lock) -> bool:
    """Whether the lock is still the row's: the same rollout under the same epoch."""
    return row is not None and row.rollout == lock.rollout and row.epoch == lock.epoch


def lost(lock: Lock) -> LeaseLost:
    """The error of a process that acts under an epoch that is over."""
    return LeaseLost(
        f"{lock.holder} no longer holds {lock.service}: epoch {lock.epoch} of {lock.rollout} is over",
        "send nothing more from this process: another one conducts the rollout, or it has ended",
    )


def conflict(rollout: str, after: int) -> Conflict:
    """The error of an append behind an entry that is not the newest."""
    return Conflict(
        f"{after} is not the number of the newest entry of rollout {rollout}",
        "read the journal behind it, fold and decide again",
    )


def _with_epoch(wanted: Lock, epoch: int) -> Lock:
    return Lock(wanted.service, wanted.rollout, epoch, wanted.holder, wanted.lease_until)
