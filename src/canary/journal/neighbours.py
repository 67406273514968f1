"""Whether the journal lives where Prefect does: then both are away at the same time."""

from __future__ import annotations

from sqlalchemy import URL, Connection, inspect, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.journal.address import Address
from canary.journal.store import SqlJournal

PREFECTS = {"flow_run", "task_run", "deployment", "work_pool"}
"""Tables of every Prefect 3 server. Source: prefect.server.database.orm_models."""
_PORT = 5432


async def holds_prefect(journal: SqlJournal) -> bool:
    """Whether Prefect's tables stand in the journal's database, in any schema. Raises JournalUnavailable."""

    def there(sync: Connection) -> bool:
        look = inspect(sync)
        return any(set(look.get_table_names(schema)) >= PREFECTS for schema in look.get_schema_names())

    async def work(connection: AsyncConnection) -> bool:
        return await connection.run_sync(there)

    return await journal.database.read("tables", work)


def same_server(journal: Address, prefect: str) -> bool:
    """Whether both are databases of one server, by their addresses: a second name of it is not seen."""
    try:
        theirs = make_url(prefect)
    except (ArgumentError, ValueError):
        return False
    if journal.file or theirs.get_backend_name() == "sqlite":
        return bool(journal.file and theirs.database == str(journal.file))
    return _server(journal.url) == _server(theirs)


def _server(url: URL) -> tuple[object, int]:
    """Its host, or the folder of its Unix socket; and its port."""
    return url.host or url.query.get("host"), url.port or _PORT
