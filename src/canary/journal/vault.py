"""Sealed credentials beside the journal, one sealed text per rollout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import InvalidToken
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canary.journal.database import Database
from canary.journal.envelope import Fields, missing, pack, unpack, wrong_key
from canary.journal.keys import SETTING, checked, cipher, vault_keys
from canary.journal.store import SqlJournal
from canary.journal.tables import vault


def open_vault(journal: SqlJournal, home: Path | None = None, env: Mapping[str, str] = os.environ) -> SqlVault:
    """The vault in the journal's database, under the keys of `vault_keys`. Raises VaultError."""
    return SqlVault(journal.database, vault_keys(home, journal.database.address.file, env))


@dataclass(frozen=True, slots=True)
class Rotated:
    """Rollouts by their ids: `sealed` under the newest key now; `lost`: none of the keys given opens what is there."""

    sealed: tuple[str, ...]
    lost: tuple[str, ...]


class SqlVault:
    """`ports.Vault` with Fernet: the first key seals, every key opens.

    Fields are JSON, and come back as JSON gives them. Whoever closes the journal closes the database.
    """

    def __init__(self, database: Database, keys: Sequence[str]) -> None:
        self._database = database
        self._cipher = cipher(checked(list(keys), SETTING))

    async def seal(self, rollout: str, fields: Fields) -> None:
        row = {"rollout": rollout, "sealed": self._cipher.encrypt(pack(rollout, fields)).decode()}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(vault).where(vault.c.rollout == rollout))
            await connection.execute(insert(vault), row)

        await self._database.write("seal", work)

    async def open(self, rollout: str) -> Fields:
        async def work(connection: AsyncConnection) -> str | None:
            found: str | None = await connection.scalar(select(vault.c.sealed).where(vault.c.rollout == rollout))
            return found

        sealed = await self._database.read("open", work)
        if sealed is None:
            raise missing(rollout)
        try:
            return unpack(rollout, self._cipher.decrypt(sealed.encode()))
        except InvalidToken:
            raise wrong_key(rollout) from None

    async def drop(self, rollout: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(vault).where(vault.c.rollout == rollout))

        await self._database.write("drop", work)

    async def rotate(self) -> Rotated:
        """Seal everything anew under the first key; then the others may be forgotten. What no key opens stays."""

        async def work(connection: AsyncConnection) -> Rotated:
            rows = (
                (await connection.execute(select(vault).order_by(vault.c.rollout).with_for_update())).mappings().all()
            )
            again = {row["rollout"]: self._resealed(row["sealed"]) for row in rows}
            for rollout, sealed in again.items():
                if sealed is not None:
                    await connection.execute(update(vault).where(vault.c.rollout == rollout).values(sealed=sealed))
            return Rotated(
                tuple(rollout for rollout, sealed in again.items() if sealed is not None),
                tuple(rollout for rollout, sealed in again.items() if sealed is None),
            )

        return await self._database.write("rotate", work)

    def _resealed(self, sealed: str) -> str | None:
        try:
            return self._cipher.rotate(sealed.encode()).decode()
        except InvalidToken:
            return None
