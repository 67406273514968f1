"""Every store passes the same suite."""

from __future__ import annotations

import pytest

from canary.journal.store import SqlJournal
from canary.journal.vault import SqlVault
from canary.ports import Journal, Vault
from canary.testing.journal import MemoryJournal, MemoryVault
from canary.testing.journal_conformance import JournalConformance, VaultConformance


class TestSqliteJournal(JournalConformance):
    @pytest.fixture
    def journal(self, sqlite: SqlJournal) -> Journal:
        return sqlite


class TestMemoryJournal(JournalConformance):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()


class TestSqliteVault(VaultConformance):
    @pytest.fixture
    def vault(self, sqlite: SqlJournal) -> Vault:
        return SqlVault(sqlite.database, ["MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="])


class TestMemoryVault(VaultConformance):
    @pytest.fixture
    def vault(self) -> Vault:
        return MemoryVault()
