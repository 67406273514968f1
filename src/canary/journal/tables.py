"""The tables, as the newest revision in migrations/versions leaves them.

Their names carry a prefix: Prefect, in the same Postgres, has an `events` of its own."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()

schema = Table("canary_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
"""Read by programs from before revisions were counted: they refuse more than 1, so a revision that they must not write
to raises it."""

plans = Table(
    "canary_plans",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("name", String, nullable=False, index=True),
    Column("service", String, nullable=False),
    Column("body", Text, nullable=False),
)

rollouts = Table(
    "canary_rollouts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
)

events = Table(
    "canary_events",
    metadata,
    Column("rollout", ForeignKey(rollouts.c.id), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("type", String, nullable=False),
    Column("data", Text, nullable=False),
)

locks = Table(
    "canary_locks",
    metadata,
    Column("service", String, primary_key=True),
    Column("rollout", String),
    Column("epoch", Integer, nullable=False),
    Column("holder", String, nullable=False),
    Column("lease_until", Double, nullable=False),
)

kernels = Table(
    "canary_kernels",
    metadata,
    Column("service", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("kernel", String, nullable=False),
)
"""SQLite alone: under which kernel the service's lock was taken with that epoch. Of another epoch it says nothing: an
older program took it."""

vault = Table(
    "canary_vault",
    metadata,
    Column("rollout", String, primary_key=True),
    Column("sealed", Text, nullable=False),
)
