"""What a database's error means, and what to do about it."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from canary.journal.address import Address

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF
"""SQLite's extended codes hold the primary one in their lowest byte (sqlite.org/rescode.html)."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_POSTGRES_FULL, _POSTGRES_IO = "53100", "58030"
"""disk_full and io_error (postgresql.org/docs/current/errcodes-appendix.html)."""
_POSTGRES_DAMAGED = {"XX001", "XX002"}
"""data_corrupted and index_corrupted, ibidem."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """why: what was wrong, on one line without a secret. fix: what to do next."""

    why: str
    fix: str


def trouble(error: BaseException, where: Address) -> Trouble:
    """The meaning of an error of the driver, of SQLAlchemy or of the operating system."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    disk = f"the disk of {where.file}" if where.file else "the disk of the database server"
    match _kind(error):
        case "damaged":
            return Trouble(f"the database is damaged: {said}", _restore(where))
        case "full":
            return Trouble(f"{disk} is full: {said}", f"make room on {disk}; what waits in the spool is appended then")
        case "disk":
            return Trouble(f"{disk} failed: {said}", f"look at {disk} (dmesg), and move the journal to a sound one")
    return Trouble(said, "see that the database runs and that this user may write to it; canary doctor tells more")


def no_answer(seconds: float) -> Trouble:
    """The meaning of silence."""
    return Trouble(
        f"no answer within {seconds:g} s",
        "see that the database runs and that this user may write to it; canary doctor tells more",
    )


def _restore(where: Address) -> str:
    if where.file is None:
        return "restore the database from a backup: its server's log names the damaged table"
    beside = f"{where.file} with its -wal and -shm"
    return f"stop what uses it, keep a copy of {beside}, and restore it from a backup; canary doctor tells more"


def _kind(error: BaseException) -> str:
    code, state = getattr(error, "sqlite_errorcode", None), getattr(error, "sqlstate", None)
    primary = code & _PRIMARY if code is not None else None
    if primary in _DAMAGED or state in _POSTGRES_DAMAGED:
        return "damaged"
    if primary == sqlite3.SQLITE_FULL or state == _POSTGRES_FULL or getattr(error, "errno", None) in _FULL:
        return "full"
    if primary == sqlite3.SQLITE_IOERR or state == _POSTGRES_IO or getattr(error, "errno", None) == errno.EIO:
        return "disk"
    return ""
