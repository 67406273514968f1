"""The revisions of the journal's tables, for alembic. A revision that stands here is never edited."""
