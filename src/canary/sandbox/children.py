"""Child processes that cannot outlive the supervisor, not even its kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from canary.errors import BadUsage
from canary.ports import NOTHING

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running child. Standard error goes to a log file; standard input and output are pipes or nothing."""

    name: str
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def tell(self, line: str) -> None:
        """One line to the child's standard input; nothing when it has died."""
        if self.process.stdin is None or not self.running:
            return
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(line.encode() + b"\n")
            await self.process.stdin.drain()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after 3 s. Returns when the child is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def spawn(
    name: str,
    argv: Sequence[str],
    folder: Path,
    *,
    talks: bool = False,
    session: bool = False,
    nice: int = 0,
    env: Mapping[str, str] = NOTHING,
) -> Child:
    """Start a child; `talks` gives it pipes for standard input and output. Logs to `<folder>/<name>.log`.

    `session` keeps a terminal's Ctrl-C from it: the parent decides when it ends. `nice` is added to its niceness;
    a negative one is granted to root alone and otherwise left out. `env` is added to this process's environment.
    """
    pipe = asyncio.subprocess.PIPE if talks else asyncio.subprocess.DEVNULL
    with (folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe,
            stdout=pipe,
            stderr=log,
            cwd=folder,
            env={**os.environ, **env},
            start_new_session=session,
            preexec_fn=_die_with(os.getpid(), nice),
        )
    return Child(name, process)


def _die_with(parent: int, nice: int) -> Callable[[], None]:
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError as error:
        raise BadUsage("the sandbox needs Linux (prctl), so that no process of it is left behind") from error

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(PermissionError):
            os.nice(nice)
        # The parent may have died before the call above: then nobody would send the signal.
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
