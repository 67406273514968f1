"""Which revision of the tables a database has, and the way from there to today's."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, column, func, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.errors import BadUsage
from canary.journal.tables import schema

KNOWN = ("0001", "0002")
"""Every revision in migrations/versions, oldest first: known without importing alembic."""
HEAD = KNOWN[-1]
TABLE = table("canary_revision", column("version_num"))
"""Where alembic keeps the revision. Not its usual name: Prefect, in the same Postgres, has that one."""
_UNCOUNTED = 1
"""What `canary_schema` says in a journal from before revisions were counted: it is as 0001 makes it."""
_ONE_AT_A_TIME = 0x63616E617279
"""The key of Postgres's advisory lock for this: "canary" in ASCII."""


async def is_current(connection: AsyncConnection, shown: str) -> bool:
    """Whether the tables are today's. Raises BadUsage, naming `shown`, when a newer program made them."""
    found = await connection.run_sync(_found)
    if found is not None and found not in KNOWN:
        raise BadUsage(
            f"the journal {shown} has revision {found}; this program knows {KNOWN[0]} to {HEAD}",
            "use the version of prefect-canary that wrote it, or a newer one",
        )
    return found == HEAD and await connection.run_sync(_counted)


async def bring_up(connection: AsyncConnection, shown: str) -> None:
    """Makes the tables, or changes them, in the transaction under way: wholly or not at all.

    Of several processes that do it at once one does, and the others find it done: SQLite's writing transaction and
    Postgres's lock let one in at a time. (So no two run alembic, which keeps its place in global variables.)
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    if not await is_current(connection, shown):
        await connection.run_sync(_upgrade)


def _found(sync: Connection) -> str | None:
    """The revision; None of a database without our tables."""
    if _counted(sync):
        return sync.scalar(select(TABLE.c.version_num))
    if not inspect(sync).has_table(schema.name):
        return None
    uncounted = sync.scalar(select(schema.c.version))
    return KNOWN[0] if uncounted == _UNCOUNTED else f"schema {uncounted}"


def _counted(sync: Connection) -> bool:
    return inspect(sync).has_table(TABLE.name)


def _upgrade(sync: Connection) -> None:
    # Here and not above: who finds the tables up to date does not wait for alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The option is a template, in which a percent sign is a special one.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = sync
    if not _counted(sync) and _found(sync):
        command.stamp(config, KNOWN[0])
    command.upgrade(config, "head")
