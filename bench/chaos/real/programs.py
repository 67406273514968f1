"""The programs of a run as things that can be struck: signalled, and started again as they were."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from canary.sandbox.children import Child, spawn

AGAIN = 0.3
"""Seconds between two tries to start what finds its place still taken."""
TRIES = 500
"""Two minutes and a half: a Prefect server begins in 10 s where nothing else runs, in a minute where much does."""


@dataclass
class Program:
    """One of them. whole: a signal goes to all processes below it, too. ready: asked until it says yes."""

    name: str
    argv: Sequence[str]
    folder: Path
    whole: bool = False
    ready: Callable[[], Awaitable[bool]] | None = None
    talks: bool = False
    child: Child | None = field(default=None, init=False)

    async def start(self, line: str = "") -> None:
        """Until it is ready; started again when it ends meanwhile. Raises TimeoutError."""
        for _ in range(TRIES):
            if self.child is None or not self.child.running:
                self.child = await spawn(self.name, self.argv, self.folder, talks=self.talks, session=True)
                if line:
                    await self.child.tell(line)
            await asyncio.sleep(AGAIN)
            if self.child.running and (self.ready is None or await self.ready()):
                return
        raise TimeoutError(f"{self.name} did not start; its log is {self.folder / self.name}.log")

    @property
    def pid(self) -> int:
        return self.child.pid if self.child else 0

    def strike(self, name: str) -> None:
        """SIG<name>, at once."""
        for pid in list(self._pids()):
            send(pid, name)

    async def end(self) -> None:
        """With all that is below it."""
        if self.child is None:
            return
        for name in ("KILL",) if self.whole else ("CONT", "KILL"):
            self.strike(name)
        await self.child.process.wait()

    def _pids(self) -> Iterator[int]:
        if not (self.child and self.child.running):
            return
        if self.whole:
            with contextlib.suppress(psutil.NoSuchProcess):
                yield from (each.pid for each in psutil.Process(self.pid).children(recursive=True))
        yield self.pid


def send(pid: int, name: str) -> None:
    """Nothing when the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.Signals[f"SIG{name}"])


def flow_processes(home: Path) -> dict[int, str]:
    """Process id → the Prefect run it executes ("" where it names none), of those that work in this home but are no
    child of ours: a worker that was killed leaves them behind."""
    found = {}
    for process in psutil.process_iter(["environ", "cmdline"]):
        environ, command = process.info["environ"] or {}, " ".join(process.info["cmdline"] or ())
        if environ.get("CANARY_HOME") == str(home) and "prefect" in command and environ.get("PREFECT__FLOW_RUN_ID"):
            found[process.pid] = environ["PREFECT__FLOW_RUN_ID"]
    return found
