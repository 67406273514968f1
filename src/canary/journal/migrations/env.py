"""What alembic runs: the revisions, on the connection and in the transaction that canary.journal.revision gives."""

from __future__ import annotations

from alembic import context

from canary.journal.revision import TABLE
from canary.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=TABLE.name
)
context.run_migrations()
