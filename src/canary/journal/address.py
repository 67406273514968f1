"""The journal's address: a URL as people write it, completed for the engine and made fit to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from canary.errors import BadUsage

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
# libpq's name → asyncpg's; `host` is the folder of a Unix socket.
QUERY = {"sslmode": "ssl", "ssl": "ssl", "host": "host"}
FIX = "set CANARY_JOURNAL_URL to sqlite:////absolute/path.db or postgresql://user:password@host/database"


@dataclass(frozen=True, slots=True)
class Address:
    """url: for the engine, password and all. file: SQLite's, absolute. shown: for messages, no password."""

    url: URL
    file: Path | None
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def address(text: str) -> Address:
    """Complete a URL with its async driver. Raises BadUsage, which quotes nothing of an unreadable URL."""
    url = _parsed(text)
    if url.drivername not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise BadUsage(f"CANARY_JOURNAL_URL: {url.drivername} is not a known driver ({known})", FIX)
    url = url.set(drivername=DRIVERS[url.drivername])
    return _sqlite(url.drivername, text) if url.get_backend_name() == "sqlite" else _server(url, text)


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    # A ValueError quotes what stands where a port should: of a URL with a slip in it, maybe the password.
    except (ArgumentError, ValueError):
        raise BadUsage("CANARY_JOURNAL_URL is not a database URL", FIX) from None


def _sqlite(driver: str, text: str) -> Address:
    # SQLAlchemy 2.0 leaves percent signs in a path alone, 2.1 decodes them: here they are always decoded.
    name = unquote(text.partition(":///")[2])
    if not name or name == ":memory:" or name.startswith("file:") or "?" in text:
        raise BadUsage("CANARY_JOURNAL_URL: SQLite needs the path of a file and nothing else", FIX)
    file = Path(name).expanduser().absolute()
    # mode=rw: SQLite must never make a new, empty journal where the old one was moved away.
    query = {"mode": "rw", "uri": "true"}
    opened = URL.create(driver, database=f"file:{quote(str(file))}", query=query)
    return Address(opened, file, f"sqlite:///{file}")


def _server(url: URL, text: str) -> Address:
    if text.count("@") > 1:
        raise BadUsage("CANARY_JOURNAL_URL has more than one @: one inside a password is written %40", FIX)
    if not url.database:
        raise BadUsage("CANARY_JOURNAL_URL names no database", FIX)
    shown = url.set(query={}).render_as_string(hide_password=True)
    return Address(url.set(query=_query(url.query)), None, shown)


def _query(given: Mapping[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
    unknown = sorted(set(given) - set(QUERY))
    if unknown:
        raise BadUsage(f"CANARY_JOURNAL_URL: {unknown[0]} is not known after the ? ({', '.join(QUERY)})", FIX)
    return {QUERY[name]: value for name, value in given.items()}
