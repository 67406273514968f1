"""Debian's Postgres in a folder of its own, as the user postgres where root starts it, on a socket there alone."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from canary.errors import BadUsage

PROGRAMS = Path("/usr/lib/postgresql")


class Cluster:
    """`argv` runs it in the foreground, so that it is a child like any other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        versions = sorted(PROGRAMS.glob("*/bin"), reverse=True)
        if not versions:
            raise BadUsage("there is no Postgres", "apt install postgresql")
        self._programs = versions[0]
        self._as = _as_postgres() if os.geteuid() == 0 else []
        folder.mkdir(mode=0o700)
        if self._as:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        self.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")

    def run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, timeout=60, stdout=subprocess.DEVNULL)

    @property
    def argv(self) -> list[str]:
        # fsync stays on: what a killed server has confirmed must be there when it is back.
        options = ["-c", "listen_addresses=", "-c", "max_connections=200", "-k", str(self.folder)]
        return [*self._as, str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]

    def url(self, database: str) -> str:
        """For CANARY_JOURNAL_URL and asyncpg alike."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def create(self, database: str) -> None:
        self.run("createdb", "-h", str(self.folder), "-U", "postgres", database)


def _as_postgres() -> list[str]:
    # A change of user clears what spawn set: so it is set again behind it.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", "--"]
