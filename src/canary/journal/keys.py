"""Where the vault's keys come from. No error shows a key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.fernet import Fernet, MultiFernet

from canary.errors import VaultError
from canary.journal.files import make_once
from canary.settings import Settings

SETTING = "CANARY_VAULT_KEY"
CREDENTIAL = "canary_vault_key"
FILE = "vault.key"
MAKE = "make a key with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


def vault_keys(
    home: Path | None = None, database: Path | None = None, env: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """The Fernet keys; the first one seals, all of them open.

    From CANARY_VAULT_KEY (a comma list), else the systemd credential `canary_vault_key`, else the local file
    <home>/keys/vault.key, which is made when it is missing. `database` is the SQLite file, if it is one: a
    local key beside it is refused. Raises VaultError, naming the place and never the value.
    """
    match key_origin(env):
        case "environment":
            return checked(env[SETTING].split(","), SETTING)
        case "systemd":
            return checked(_read(_credential(env)).split(","), f"the systemd credential {CREDENTIAL}")
    return _local(Settings.from_env(env, home).keys / FILE, database)


def key_origin(env: Mapping[str, str]) -> Literal["environment", "systemd", "file"]:
    """Where `vault_keys` looks: in CANARY_VAULT_KEY, in the systemd credential, or in the local file."""
    if SETTING in env:
        return "environment"
    return "systemd" if "CREDENTIALS_DIRECTORY" in env and _credential(env).is_file() else "file"


def _credential(env: Mapping[str, str]) -> Path:
    return Path(env["CREDENTIALS_DIRECTORY"]) / CREDENTIAL


def checked(keys: list[str], place: str) -> tuple[str, ...]:
    """The keys without blanks around them. Raises VaultError when there is none, or one is no Fernet key."""
    stripped = tuple(key.strip() for key in keys if key.strip())
    for number, key in enumerate(stripped, 1):
        try:
            Fernet(key)
        except ValueError:
            raise VaultError(f"{place}: key {number} of {len(stripped)} is no Fernet key", MAKE) from None
    if not stripped:
        raise VaultError(f"{place} is set, but holds no key", f"{MAKE}, or unset it to use a local key file")
    return stripped


def _local(file: Path, database: Path | None) -> tuple[str, ...]:
    if database and database.parent.resolve() == file.parent.resolve():
        raise VaultError(
            f"the vault's key {file} would lie beside the database that it opens",
            f"move the database to another folder, or set {SETTING}",
        )
    try:
        make_once(file, _fill)
        mode = file.stat().st_mode
    except OSError as error:
        raise _unreadable(file, error) from None
    if mode & 0o077:
        raise VaultError(
            f"the vault's key {file} can be read by others",
            f"chmod 600 {file}, and replace the key if others use this machine",
        )
    return checked(_read(file).split(","), str(file))


def _fill(draft: Path) -> None:
    draft.write_bytes(Fernet.generate_key())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise _unreadable(file, error) from None
    except UnicodeDecodeError:
        raise VaultError(f"{file} is no Fernet key", MAKE) from None


def _unreadable(file: Path, error: OSError) -> VaultError:
    return VaultError(
        f"the vault's key {file} cannot be used: {error.strerror}",
        f"make it readable for this user, or set {SETTING}",
    )


def cipher(keys: tuple[str, ...]) -> MultiFernet:
    """Seals with the first key and opens with each."""
    return MultiFernet([Fernet(key) for key in keys])
