"""The settings that come from the environment; secrets are read where they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from canary.errors import BadUsage


@dataclass(frozen=True, slots=True)
class Settings:
    """Where this machine keeps what must outlive a process.

    home:        CANARY_HOME, absolute; ~/.canary when unset or empty.
    journal_url: CANARY_JOURNAL_URL as given, or a SQLite file below home. May hold a password: never show it.
    evidence:    CANARY_EVIDENCE, the folder of a checklist's files and commands; where the process runs when unset.
    """

    home: Path
    journal_url: str = field(repr=False)
    evidence: Path = Path()

    @classmethod
    def from_env(cls, env: Mapping[str, str], home: Path | None = None) -> Settings:
        """`home` goes before CANARY_HOME. Raises BadUsage when no home can be found."""
        chosen = home or _home(env)
        evidence = Path(env.get("CANARY_EVIDENCE", "").strip()).expanduser()
        return cls(chosen, env.get("CANARY_JOURNAL_URL", "").strip() or _default_url(chosen), evidence)

    @property
    def keys(self) -> Path:
        """The folder of the local vault key: never the database's, so that no backup of one holds both."""
        return self.home / "keys"

    @property
    def documents(self) -> Path:
        """The folder of what is written about each rollout, for people."""
        return self.home / "rollouts"

    @property
    def spool(self) -> Path:
        """The folder of what waits for a journal that was away."""
        return self.home / "spool"

    @property
    def routes(self) -> Path:
        """The file of whom the guard pages while the journal is away, sealed."""
        return self.home / "routes.sealed"


def _home(env: Mapping[str, str]) -> Path:
    given = env.get("CANARY_HOME", "").strip()
    try:
        return Path(given or "~/.canary").expanduser().absolute()
    except RuntimeError:
        raise BadUsage(
            "CANARY_HOME is not set, and this user has no home folder",
            "set CANARY_HOME to a folder that only this user can read",
        ) from None


def _default_url(home: Path) -> str:
    return f"sqlite+aiosqlite:///{quote(str(home / 'data' / 'journal.db'))}"
