"""Whom the guard pages, kept outside of the journal: a guard that is started while the journal is away must know."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.fernet import InvalidToken

from canary.journal.envelope import Fields, pack, unpack
from canary.journal.files import opened, private_folder
from canary.journal.keys import SETTING, checked, cipher, vault_keys
from canary.settings import Settings


def open_routes(home: Path | None = None, env: Mapping[str, str] = os.environ) -> KeptRoutes:
    """In the home's file, under the vault's keys. Raises VaultError."""
    return KeptRoutes(Settings.from_env(env, home).routes, vault_keys(home, env=env))


class KeptRoutes:
    """One file of this host: a sealed text for each rollout under way. Several guards may write it: the last one stays.

    Whatever of it no key opens is left out: it is known again as soon as the journal answers.
    """

    def __init__(self, file: Path, keys: Sequence[str]) -> None:
        self._file = file
        self._cipher = cipher(checked(list(keys), SETTING))

    async def keep(self, routes: Mapping[str, Fields]) -> None:
        """In place of what was kept before. Raises OSError, and VaultError for fields that are not JSON."""
        sealed = {name: self._cipher.encrypt(pack(name, fields)).decode() for name, fields in routes.items()}
        await asyncio.to_thread(_replace, self._file, json.dumps(sealed).encode())

    async def kept(self) -> Mapping[str, Fields]:
        """Rollout → block reference → fields; empty when nothing was kept. Raises OSError, ValueError for no JSON."""
        try:
            sealed = json.loads(await asyncio.to_thread(self._file.read_bytes))
        except FileNotFoundError:
            return {}
        found = {rollout: self._opened(rollout, text) for rollout, text in sealed.items()}
        return {rollout: fields for rollout, fields in found.items() if fields is not None}

    def _opened(self, rollout: str, sealed: str) -> Fields | None:
        try:
            return unpack(rollout, self._cipher.decrypt(sealed.encode()))
        except InvalidToken:
            return None


def _replace(file: Path, text: bytes) -> None:
    """Whole or not at all, for this user only. It may be lost with the host: the next look writes it anew."""
    private_folder(file.parent)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with opened(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        os.write(descriptor, text)
    draft.replace(file)
