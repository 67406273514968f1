"""`canary vault rotate` as a user types it. No Prefect anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet

from canary.errors import VaultError
from canary.journal.vault import SqlVault

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
FIELDS = {"fly/api": {"token": "s3cret-t0ken"}}


@pytest.fixture
def sealed(desk: Any) -> Any:
    """The desk, with credentials sealed under the old key."""
    desk.with_journal(lambda journal: SqlVault(journal.database, [OLD]).seal("r1", FIELDS))
    return desk


def test_rotation_takes_the_newest_key(sealed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NEW,OLD all is sealed under NEW: the old key can be taken away, and nothing secret is shown."""
    monkeypatch.setenv("CANARY_VAULT_KEY", f"{NEW},{OLD}")
    done = sealed.canary("vault", "rotate")
    assert (done.exit_code, done.stdout) == (0, "1 rollouts are sealed under the newest key\n")
    assert sealed.with_journal(lambda journal: SqlVault(journal.database, [NEW]).open("r1")) == FIELDS


def test_a_lost_key_is_an_error_with_a_way_on(sealed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollout is named, and what it means for its rollback; neither a key nor a credential is shown."""
    monkeypatch.setenv("CANARY_VAULT_KEY", NEW)
    done = sealed.canary("vault", "rotate", "--json")
    assert json.loads(done.stdout) == {"sealed": [], "lost": ["r1"]}
    assert isinstance(done.exception, VaultError)
    assert "r1" in done.exception.what
    assert "roll back on the platform itself" in done.exception.fix
    assert not any(secret in f"{done.output}{done.exception}" for secret in (OLD, NEW, "s3cret"))
