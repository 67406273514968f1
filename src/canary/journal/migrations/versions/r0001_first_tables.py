"""The tables as every journal had them before revisions were counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them; with the number that programs look at which know of no revisions."""
    numbers = op.create_table("canary_schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.bulk_insert(numbers, [{"version": 1}])
    op.create_table(
        "canary_plans",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("hash", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False, index=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "canary_rollouts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
    )
    op.create_table(
        "canary_events",
        sa.Column("rollout", sa.String, sa.ForeignKey("canary_rollouts.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "canary_locks",
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("rollout", sa.String),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
    )
    op.create_table(
        "canary_vault",
        sa.Column("rollout", sa.String, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
    )
