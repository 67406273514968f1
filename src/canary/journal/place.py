"""Where a SQLite journal lies: it is for the processes of one host (sqlite.org/wal.html), and says so elsewhere."""

from __future__ import annotations

import re
from operator import itemgetter
from pathlib import Path

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage
from canary.journal.tables import kernels, locks
from canary.ports import Lock

MOUNTS = Path("/proc/self/mountinfo")
"""Its fields: proc(5). Linux alone has it."""
_POINT = re.compile(r"(?:\S+ ){4}(\S+) .*?- (\S+) ")
"""The fifth is the mount point, the first behind the dash the type."""
KERNEL = Path("/proc/sys/kernel/random/boot_id")
"""The same in every container of a host, another one on every other host and after each start (random(4))."""
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "gfs2", "ocfs2", "beegfs", "gpfs"}
    | {f"fuse.{name}" for name in ("sshfs", "glusterfs", "ceph", "ceph-fuse", "s3fs", "gcsfuse", "juicefs", "rclone")}
)
"""File systems that several hosts mount. Those by which a virtual machine sees its own host (9p, virtiofs) are none."""
_FIX = (
    "with workers on other hosts, set CANARY_JOURNAL_URL to one Postgres for all of them; canary journal export and "
    "canary journal import move a journal"
)


def see_it_is_local(file: Path) -> None:
    """Raises BadUsage for a file on a network file system. Where the mounts cannot be read nothing is known."""
    kind = _file_system(file.resolve())
    if kind in NETWORK:
        raise BadUsage(
            f"the journal {file} is on a network file system ({kind}), where SQLite does not keep it whole",
            f"set CANARY_HOME to a folder on a local disk, and move what is there while nothing runs; {_FIX}",
        )


def kernel() -> str | None:
    """What tells the running kernel from every other one; None where it is not told."""
    try:
        return KERNEL.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


async def see_nobody_elsewhere(connection: AsyncConnection, here: str) -> None:
    """Raises BadUsage while a process under another kernel than `here` conducts a rollout in this SQLite file.

    A lease that has run out tells nothing: its host may have been started anew.
    """
    living = locks.c.rollout.is_not(None) & (locks.c.lease_until > func.strftime("%s", "now") * 1.0)
    same = (kernels.c.service == locks.c.service) & (kernels.c.epoch == locks.c.epoch)
    query = select(locks.c.holder, locks.c.rollout).join(kernels, same).where(living, kernels.c.kernel != here)
    found = (await connection.execute(query)).first()
    if found:
        raise BadUsage(
            f"{found.holder}, on another host, conducts {found.rollout} in this SQLite journal: it is for one host",
            _FIX,
        )


async def sign(connection: AsyncConnection, lock: Lock, here: str) -> None:
    """Says under which kernel the lock was taken."""
    await connection.execute(delete(kernels).where(kernels.c.service == lock.service))
    await connection.execute(insert(kernels), {"service": lock.service, "epoch": lock.epoch, "kernel": here})


def _file_system(file: Path) -> str | None:
    """The type of the file system that holds the file, or will; None where that is not told."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    points = [match.groups() for line in lines if (match := _POINT.match(line))]
    above = [(depth, kind) for point, kind in points if (depth := _depth(file, point)) is not None]
    # Of two on the same point the later one lies above the other.
    return max(reversed(above), key=itemgetter(0))[1] if above else None


def _depth(file: Path, point: str) -> int | None:
    """How deep the mount point lies above the file; None when it does not."""
    place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point))
    return len(place.parts) if file.is_relative_to(place) else None
