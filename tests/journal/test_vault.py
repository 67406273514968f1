"""Keys and sealed credentials: where keys come from, what opens what, and that nothing shows a secret."""

# ruff: noqa: ASYNC240

from __future__ import annotations

import sqlite3
import stat
import traceback
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from canary.errors import JournalUnavailable, VaultError
from canary.journal.keys import vault_keys
from canary.journal.store import SqlJournal
from canary.journal.vault import Rotated, SqlVault, open_vault

OLD, NEW, OTHER = (urlsafe_b64encode(name * 32).decode() for name in (b"1", b"2", b"3"))
FIELDS = {"fly/api": {"token": "s3cret-t0ken"}}


def vault(journal: SqlJournal, *keys: str) -> SqlVault:
    return SqlVault(journal.database, keys)


async def test_keys_are_rotated(sqlite: SqlJournal) -> None:
    """The first key seals, every key opens; what the new key sealed the old one alone does not open."""
    await vault(sqlite, OLD).seal("old", FIELDS)
    await vault(sqlite, NEW, OLD).seal("new", FIELDS)
    assert await vault(sqlite, NEW, OLD).open("old") == FIELDS
    assert await vault(sqlite, NEW).open("new") == FIELDS
    with pytest.raises(VaultError, match=r"rollout new(.|\n)*CANARY_VAULT_KEY"):
        await vault(sqlite, OLD).open("new")


async def test_rotation_seals_everything_under_the_newest_key(sqlite: SqlJournal) -> None:
    """Whatever key it was under, the new one alone opens it afterwards, and the old one no more; twice is once."""
    await vault(sqlite, OLD).seal("r1", FIELDS)
    await vault(sqlite, OTHER).seal("r2", {"slack/sre": {"url": "x"}})
    for _ in range(2):
        assert await vault(sqlite, NEW, OLD, OTHER).rotate() == Rotated(("r1", "r2"), ())
        assert await vault(sqlite, NEW).open("r1") == FIELDS
        assert await vault(sqlite, NEW).open("r2") == {"slack/sre": {"url": "x"}}
    with pytest.raises(VaultError, match="rollout r1"):
        await vault(sqlite, OLD).open("r1")


async def test_a_lost_key_is_said_and_loses_nothing_more(sqlite: SqlJournal) -> None:
    """What no key given opens is named and left as it was, for the day that its key is found; the rest is rotated."""
    await vault(sqlite, OTHER).seal("r1", FIELDS)
    await vault(sqlite, OLD).seal("r2", FIELDS)
    assert await vault(sqlite, NEW, OLD).rotate() == Rotated(("r2",), ("r1",))
    assert await vault(sqlite, NEW).open("r2") == FIELDS
    assert await vault(sqlite, OTHER).open("r1") == FIELDS


async def test_a_rotation_that_fails_in_the_middle_changes_nothing(
    sqlite: SqlJournal, outside: sqlite3.Connection
) -> None:
    """It is one transaction: half of the rollouts under a key that is then taken away would be worse than none."""
    for rollout in ("r1", "r2"):
        await vault(sqlite, OLD).seal(rollout, FIELDS)
    fails = "BEGIN SELECT RAISE(ABORT, 'no more'); END"
    outside.execute(f"CREATE TRIGGER stop BEFORE UPDATE ON canary_vault WHEN new.rollout = 'r2' {fails}")
    with pytest.raises(JournalUnavailable, match="rotate"):
        await vault(sqlite, NEW, OLD).rotate()
    assert [await vault(sqlite, OLD).open(rollout) for rollout in ("r1", "r2")] == [FIELDS, FIELDS]


async def test_a_sealed_text_is_bound_to_its_rollout(sqlite: SqlJournal, outside: sqlite3.Connection) -> None:
    """Moved to another rollout, or changed, it does not open."""
    await vault(sqlite, OLD).seal("r1", FIELDS)
    for change in ("rollout = 'r2'", "sealed = 'ü' || sealed"):
        outside.execute(f"UPDATE canary_vault SET {change}")
        with pytest.raises(VaultError, match="r2"):
            await vault(sqlite, OLD).open("r2")


async def test_no_secret_is_on_the_disk_or_in_an_error(sqlite: SqlJournal, file: Path, tmp_path: Path) -> None:
    """The planted secret is in no file and no traceback, and the key not in the database's folder."""
    await sqlite.append("r1", 0, [])
    own = open_vault(sqlite, tmp_path / "home", env={})
    await own.seal("r1", FIELDS)
    with pytest.raises(VaultError) as caught:
        await vault(sqlite, OTHER).open("r1")
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret-t0ken" not in shown
    assert OTHER not in shown
    key = (tmp_path / "home/keys/vault.key").read_bytes()
    stored = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert b"canary_vault" in stored
    assert b"s3cret-t0ken" not in stored
    assert key not in stored


async def test_a_vault_away_is_unavailable(sqlite: SqlJournal, file: Path) -> None:
    """The vault says about its database what the journal says, and not a word of what was to be sealed."""
    await sqlite.read("r1")
    file.unlink()
    with pytest.raises(JournalUnavailable, match="seal") as caught:
        await vault(sqlite, OLD).seal("r1", FIELDS)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_the_environment_lists_keys() -> None:
    """CANARY_VAULT_KEY is a comma list, blanks do not matter, and no local key is made."""
    assert vault_keys(Path("/nowhere"), env={"CANARY_VAULT_KEY": f" {NEW} , {OLD},"}) == (NEW, OLD)


@pytest.mark.parametrize("value", ["", " , ", "hunter2", f"{OLD},hunter2", "hünter2"])
def test_a_bad_setting_is_named_and_not_shown(tmp_path: Path, value: str) -> None:
    """A set but useless CANARY_VAULT_KEY is an error, never a reason to fall back to another key."""
    with pytest.raises(VaultError, match="CANARY_VAULT_KEY") as caught:
        vault_keys(tmp_path, env={"CANARY_VAULT_KEY": value})
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert OLD not in shown
    assert list(tmp_path.iterdir()) == []


def test_systemd_brings_the_key(tmp_path: Path) -> None:
    """The credential is used before the local file, and after the setting."""
    (tmp_path / "canary_vault_key").write_text(f"{OLD}\n")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert vault_keys(tmp_path / "home", env=env) == (OLD,)
    assert vault_keys(tmp_path / "home", env={**env, "CANARY_VAULT_KEY": NEW}) == (NEW,)
    (tmp_path / "canary_vault_key").write_text("hünter2")
    with pytest.raises(VaultError, match="canary_vault_key"):
        vault_keys(tmp_path / "home", env=env)


def test_other_systemd_credentials_do_not_matter(tmp_path: Path) -> None:
    """A service with credentials, but none of this name, uses the local key."""
    keys = vault_keys(tmp_path / "home", env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert keys == ((tmp_path / "home/keys/vault.key").read_text(),)


def test_the_local_key_is_made_once(tmp_path: Path) -> None:
    """It is a Fernet key in a file 0600 in a folder 0700, and stays the same; nothing else is left there."""
    keys = vault_keys(tmp_path / "home", env={})
    assert keys == vault_keys(env={"CANARY_HOME": str(tmp_path / "home")})
    Fernet(keys[0])
    folder = tmp_path / "home/keys"
    assert [path.name for path in folder.iterdir()] == ["vault.key"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "vault.key")]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Any access for group or others is refused, with the command that ends it."""
    vault_keys(tmp_path, env={})
    (tmp_path / "keys/vault.key").chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        vault_keys(tmp_path, env={})


def test_a_key_beside_its_database_is_refused(tmp_path: Path) -> None:
    """No local key is made in the database's folder, by whatever way that folder is reached."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    for folder in ("keys", "link"):
        with pytest.raises(VaultError, match="beside the database"):
            vault_keys(tmp_path, tmp_path / folder / "journal.db", env={})
    assert list((tmp_path / "keys").iterdir()) == []


@pytest.mark.parametrize("content", ["", "hunter2"])
def test_a_broken_local_key_is_named(tmp_path: Path, content: str) -> None:
    """A key file without a key is an error with its path, and is not overwritten."""
    (tmp_path / "keys").mkdir()
    file = tmp_path / "keys/vault.key"
    file.touch(mode=0o600)
    file.write_text(content)
    with pytest.raises(VaultError, match=r"vault\.key") as caught:
        vault_keys(tmp_path, env={})
    assert "hunter2" not in str(caught.value)
    assert file.read_text() == content


def test_a_key_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is a VaultError, not an OSError."""
    (tmp_path / "keys").touch()
    with pytest.raises(VaultError, match="keys"):
        vault_keys(tmp_path, env={})


@pytest.mark.parametrize("keys", [(), ("hunter2",)])
async def test_a_vault_needs_keys(sqlite: SqlJournal, keys: Sequence[str]) -> None:
    """A vault with no key, or with one that is none, is not made."""
    with pytest.raises(VaultError) as caught:
        vault(sqlite, *keys)
    assert "hunter2" not in str(caught.value)
