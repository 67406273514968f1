"""Under which kernel a service is conducted: a SQLite file is for one host. Programs that know 0001 alone go on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One table more; no other is touched."""
    op.create_table(
        "canary_kernels",
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("kernel", sa.String, nullable=False),
    )
