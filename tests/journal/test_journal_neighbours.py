"""Whether journal and Prefect are databases of one server, told by their addresses."""

from __future__ import annotations

import pytest

from canary.journal.address import address
from canary.journal.neighbours import same_server


@pytest.mark.parametrize(
    ("journal", "prefect", "same"),
    [
        ("postgresql://a:b@db/canary", "postgresql+asyncpg://p:q@db:5432/prefect", True),
        ("postgresql://a:b@db:5433/canary", "postgresql+asyncpg://p:q@db/prefect", False),
        ("postgresql://a:b@db/canary", "postgresql+asyncpg://p:q@other/prefect", False),
        ("postgresql://a:b@db/canary", "sqlite+aiosqlite:////var/prefect.db", False),
        ("sqlite:////var/journal.db", "postgresql+asyncpg://p:q@db/prefect", False),
        ("sqlite:////var/journal.db", "sqlite+aiosqlite:////var/journal.db", True),
        ("sqlite:////var/journal.db", "sqlite+aiosqlite:////var/prefect.db", False),
        ("postgresql://a@/canary?host=/run/one", "postgresql+asyncpg://p@/prefect?host=/run/one", True),
        ("postgresql://a@/canary?host=/run/one", "postgresql+asyncpg://p@/prefect?host=/run/two", False),
        ("postgresql://a:b@db/canary", "no database url", False),
        ("postgresql://a:b@db/canary", "postgresql://db:port/x", False),
    ],
)
def test_one_server_is_one_host_and_port_or_one_file(journal: str, prefect: str, same: bool) -> None:
    """Passwords and database names do not matter; the port counts, also when it is left out."""
    assert same_server(address(journal), prefect) is same
