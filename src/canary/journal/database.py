"""One database, asked in short bounded transactions: the floor under journal and vault."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from canary.errors import BadUsage, JournalUnavailable
from canary.journal.address import FIX, Address, address
from canary.journal.files import make_once
from canary.journal.place import kernel, see_it_is_local, see_nobody_elsewhere
from canary.journal.revision import bring_up, is_current
from canary.journal.trouble import Trouble, no_answer, trouble

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

ANSWER_WITHIN = 2.0
"""Seconds a verb may take."""

_FOREIGN = (SQLAlchemyError, sqlite3.Error, OSError)
_RACES = 5


class Database:
    """Transactions on one database, for one event loop; opened by its first verb.

    `read` and `write` raise JournalUnavailable after `answer_within` seconds at the latest. What was being
    written then may have been stored or not: only reading tells. The first verb brings the tables to this
    program's revision, and raises BadUsage for a newer one, and for a SQLite file that other hosts use. `here` is the
    kernel that a SQLite file is used under, once it is open.
    """

    def __init__(self, url: str, answer_within: float = ANSWER_WITHIN) -> None:
        self.address = address(url)
        self.here: str | None = None
        self._answer_within = answer_within
        self._engine = _engine(self.address, answer_within)
        self._writer = self._engine.execution_options(canary_writes=True)
        # SQLite has one writer at a time; to queue here is fairer than its polling.
        self._turns = asyncio.Semaphore(1 if self.address.file else 10)
        self._identity: tuple[int, int] | None = None
        self._prepared = False
        self._closed = False
        self._coming: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, verb: str, work: Work[T]) -> T:
        return await self._bounded(verb, self._reading(work))

    async def write(self, verb: str, work: Work[T]) -> T:
        """`work` may run again, in a new transaction, when somebody inserted the same key first."""
        return await self._bounded(verb, self._writing(work))

    async def close(self) -> None:
        """Wait, within the bound, for what is still under way, and close every connection."""
        self._closed = True
        if self._late:
            await asyncio.wait(self._late, timeout=self._answer_within)
        if self._late:
            # Only bringing the tables up is not cancelled yet; it gives its connection back.
            for task in self._late:
                task.cancel()
            await asyncio.wait(self._late, timeout=self._answer_within)
        closing = asyncio.ensure_future(self._engine.dispose())
        await asyncio.wait({closing}, timeout=self._answer_within)

    async def _bounded(self, verb: str, work: Coroutine[Any, Any, T]) -> T:
        # A thread that hangs in a disk does not hear a cancellation: leave it behind instead of awaiting it.
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=self._answer_within)
        finally:
            self._leave(task)
        if not task.done() or task.cancelled():
            raise self._unavailable(verb, no_answer(self._answer_within))
        try:
            return task.result()
        except _FOREIGN as error:
            raise self._unavailable(verb, trouble(error, self.address)) from error

    def _leave(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            task.cancel()
            self._late.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()

    async def _reading(self, work: Work[T]) -> T:
        await self._ready()
        async with self._engine.begin() as connection:
            return await work(connection)

    async def _writing(self, work: Work[T]) -> T:
        await self._ready()
        for _ in range(_RACES):
            try:
                return await self._transact(work)
            except IntegrityError as error:
                lost = error
        raise lost

    async def _transact(self, work: Work[T]) -> T:
        async with self._turns, self._writer.begin() as connection:
            return await work(connection)

    async def _ready(self) -> None:
        if self._closed:
            raise OSError("it was closed by this process")
        if not self._prepared:
            await self._prepare()
            self._prepared = True
        if self.address.file and self._identity != _identity(os.stat(self.address.file)):
            raise OSError("the file was replaced by another one; start this process anew to use that")

    async def _prepare(self) -> None:
        if self.address.file:
            see_it_is_local(self.address.file)
            self.here = kernel()
            make_once(self.address.file, _empty_sqlite)
            _see_it_opens(self.address.file)
            self._identity = _identity(os.stat(self.address.file))
        async with self._engine.begin() as connection:
            current = await is_current(connection, self.address.shown)
        if not current:
            await self._bring_up()
        if self.here:
            async with self._engine.begin() as connection:
                await see_nobody_elsewhere(connection, self.here)

    async def _bring_up(self) -> None:
        # It may take longer than a verb has: it goes on meanwhile, and the next verb finds it done.
        if self._coming is None or self._coming.done():
            self._coming = asyncio.ensure_future(self._transact(lambda each: bring_up(each, self.address.shown)))
            self._late.add(self._coming)
            self._coming.add_done_callback(self._forget)
        await asyncio.shield(self._coming)

    def _unavailable(self, verb: str, found: Trouble) -> JournalUnavailable:
        return JournalUnavailable(f"the journal did not answer ({verb}): {self.address.shown}: {found.why}", found.fix)


def _engine(where: Address, answer_within: float) -> AsyncEngine:
    options: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"timeout": answer_within}}
    if where.file:
        # Below the bound, so that SQLite itself reports a lock that does not go away.
        options = {"connect_args": {"timeout": answer_within * 0.8, "isolation_level": None}}
    try:
        engine = create_async_engine(where.url, hide_parameters=True, **options)
    except ImportError as error:
        raise BadUsage(f"CANARY_JOURNAL_URL: {where.url.drivername} needs the package {error.name}", FIX) from None
    if where.file:
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _empty_sqlite(draft: Path) -> None:
    # In WAL mode from the start: when several connections switch a new file to it, some fail. And on a draft: to
    # close a descriptor of the file itself would drop the locks that other connections of this process hold.
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _see_it_opens(file: Path) -> None:
    # The driver leaves a thread behind when it cannot open a file: find out before it tries.
    with closing(sqlite3.connect(file)):
        return


def _set_up_sqlite(connection: Any, _record: object) -> None:
    try:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except BaseException:
        # The pool forgets a connection that fails here, and would leave its thread running.
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    # Left to itself the driver begins late, and a read that turns into a write then fails instead of waiting.
    writes = connection.get_execution_options().get("canary_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
