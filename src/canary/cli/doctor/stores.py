"""The doctor's look at this machine: program, journal, vault, spool; and what the journal tells of the guard."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit
from uuid import uuid4

from prefect.settings import get_current_settings

from canary.cli.doctor.finding import Finding, looked
from canary.cli.store import WallClock
from canary.errors import JournalUnavailable
from canary.journal.keys import FILE, MAKE, SETTING, key_origin
from canary.journal.neighbours import holds_prefect, same_server
from canary.journal.soundness import damage
from canary.journal.spool import Spool
from canary.journal.store import SqlJournal
from canary.journal.vault import open_vault
from canary.settings import Settings

HERE = (None, "localhost", "127.0.0.1", "::1")
WITHIN = 8.0
"""Seconds for one look; the journal itself answers or gives up within two a verb."""
CHECKED_WITHIN = 4.0
"""Seconds for SQLite to go through its file."""
ALONE_FOR = 30.0
"""Seconds without a conductor after which a guard that looks every second would have acted."""
_GUARD = "run one a journal, away from the workers: canary guard, or deployments/canary-guard.service"


def program() -> Finding:
    """Which program this is."""
    ours, prefect = version("prefect-canary"), version("prefect")
    detail = f"prefect-canary {ours}, Prefect {prefect}, Python {platform.python_version()}"
    return Finding("program", "ok", detail)


async def stores(journal: SqlJournal, settings: Settings, env: Mapping[str, str]) -> Sequence[Finding]:
    """First whether the journal answers; only then what can be asked of it. The looks of a kind all at once."""
    here = {
        "journal": lambda: _journal(journal),
        "vault key": lambda: _key(journal, settings, env),
        "spool": lambda: _spool(settings),
    }
    inside = {
        "journal's place": lambda: _place(journal),
        "vault": lambda: _vault(journal, settings, env),
        "guard": lambda: _guard(journal),
    }
    found = await asyncio.gather(*(looked(what, WITHIN, look) for what, look in here.items()))
    if found[0].standing == "missing":
        return [*found, *(Finding(what, "not known", "the journal was not heard") for what in inside)]
    return [*found, *await asyncio.gather(*(looked(what, WITHIN, look) for what, look in inside.items()))]


async def _journal(journal: SqlJournal) -> Finding:
    try:
        known = len(await journal.rollouts())
    except JournalUnavailable as error:
        return Finding("journal", "missing", error.what, "see that the database runs, and what CANARY_JOURNAL_URL says")
    shown, file = journal.database.address.shown, journal.database.address.file
    if broken := await asyncio.to_thread(damage, file, CHECKED_WITHIN) if file else "":
        keep = "stop what uses it, keep what can be read (canary journal export FILE), and restore it from a backup"
        return Finding("journal", "missing", f"{shown} is damaged: {broken}", keep)
    unchecked = " (too large to be checked here)" if broken is None else ""
    return Finding("journal", "ok", f"{shown} answers{unchecked}; rollouts in it: {known}")


async def _place(journal: SqlJournal) -> Finding:
    theirs = get_current_settings().server.database.connection_url
    move = "set CANARY_JOURNAL_URL to a database on another server: a rollback must not wait for Prefect's"
    if await holds_prefect(journal):
        return Finding("journal's place", "warning", "the journal is in the database that Prefect uses", move)
    if theirs and same_server(journal.database.address, theirs.get_secret_value()):
        return Finding("journal's place", "warning", "the journal is on the database server that Prefect uses", move)
    api = urlsplit(get_current_settings().api.url or "").hostname
    if journal.database.address.file and api not in HERE:
        found = f"the journal is a file on this host, and Prefect's API is on {api}: a worker elsewhere cannot see it"
        return Finding(
            "journal's place", "warning", found, "set CANARY_JOURNAL_URL to a Postgres, or run all of it here"
        )
    return Finding("journal's place", "ok", "apart from Prefect's tables")


async def _key(journal: SqlJournal, settings: Settings, env: Mapping[str, str]) -> Finding:
    origin = key_origin(env)
    # Opening makes the local file when it is missing, and checks each key.
    open_vault(journal, settings.home, env)
    if origin == "file":
        where = f"{SETTING} is not set: the local file {settings.keys / FILE} is used"
        return Finding("vault key", "warning", where, f"{MAKE},\nand set {SETTING} for workers, guard and commands")
    return Finding("vault key", "ok", f"from {origin}")


async def _vault(journal: SqlJournal, settings: Settings, env: Mapping[str, str]) -> Finding:
    """Writes, reads and deletes one sealed text: that this user may write is known only by writing."""
    vault, name = open_vault(journal, settings.home, env), f"doctor:{uuid4()}"
    await vault.seal(name, {"doctor/doctor": {}})
    try:
        await vault.open(name)
    finally:
        await vault.drop(name)
    return Finding("vault", "ok", "a sealed text was written, read back and deleted")


async def _spool(settings: Settings) -> Finding:
    waiting = await asyncio.to_thread(Spool(settings.spool).pending)
    if not waiting:
        return Finding("spool", "ok", "nothing waits for the journal")
    lines = ", ".join(f"{rollout} ({len(entries)})" for rollout, entries in waiting.items())
    return Finding("spool", "missing", f"lines that the journal does not have yet: {lines}", "canary guard --once")


async def _guard(journal: SqlJournal) -> Finding:
    """A guard leaves no trace while all is well; that none looks shows by what it has left undone."""
    now = WallClock().now()
    alone = [lock for lock in await journal.locks() if 0 < lock.lease_until < now - ALONE_FOR]
    if alone:
        since = ", ".join(f"{lock.rollout} ({now - lock.lease_until:.0f} s)" for lock in alone)
        return Finding("guard", "missing", f"nobody has looked after rollouts without a conductor: {since}", _GUARD)
    return Finding("guard", "not known", "it shows only where a rollout has lost its conductor: none has", _GUARD)
