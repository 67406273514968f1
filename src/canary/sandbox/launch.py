"""Starting and ending the supervisor's process, from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from canary.errors import BadUsage, CanaryError
from canary.sandbox.state import is_running, state_file, work_folder

READY_WITHIN_SECONDS = 20.0
PLATFORMS_WITHIN_SECONDS = 90.0
"""With the platforms in front of it, whose servers bring much to import, beside a Prefect server that starts, too."""
STOPS_WITHIN_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LAST_LINES = 8


def launch(home: Path, arguments: Sequence[str]) -> int:
    """In a session of its own, so that Ctrl-C in the caller's terminal does not reach it. Returns its pid."""
    work_folder(home).mkdir(parents=True, exist_ok=True, mode=0o700)
    state_file(home).unlink(missing_ok=True)
    argv = [sys.executable, "-m", "canary.sandbox.supervisor", "--home", str(home), *arguments]
    into_log = (os.POSIX_SPAWN_OPEN, 1, str(log_file(home)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), into_log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawn(sys.executable, argv, os.environ, file_actions=files, setsid=True)


async def until_up(home: Path, pid: int, seconds: float = READY_WITHIN_SECONDS) -> None:
    """Returns when it serves, within so many seconds. Raises BadUsage or CanaryError with the log's last lines.

    Cancelled, or out of patience, it leaves no process behind.
    """
    try:
        async with asyncio.timeout(seconds):
            await _file_or_exit(home, pid)
    except TimeoutError:
        _kill(pid)
        what = f"the sandbox was not ready within {seconds:.0f} s:\n{_last_lines(home)}"
        raise CanaryError(what, f"the whole log: {log_file(home)}") from None
    except asyncio.CancelledError:
        _kill(pid)
        raise


async def _file_or_exit(home: Path, pid: int) -> None:
    while not state_file(home).exists():
        code = _exit_code(pid)
        if code is not None:
            kind = BadUsage if code == BadUsage.exit_code else CanaryError
            raise kind(f"the sandbox did not start:\n{_last_lines(home)}", f"the whole log: {log_file(home)}")
        await asyncio.sleep(_POLL_SECONDS)


async def end(home: Path, pid: int) -> None:
    """SIGTERM, after 10 s SIGKILL. Raises CanaryError when it goes on even so."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if await _gone(home, pid):
            return
    raise CanaryError(f"the sandbox's supervisor (pid {pid}) does not stop", f"kill -9 {pid}")


def log_file(home: Path) -> Path:
    """The supervisor's own log; its children's lie beside it."""
    return work_folder(home) / "supervisor.log"


async def _gone(home: Path, pid: int) -> bool:
    deadline = asyncio.get_running_loop().time() + STOPS_WITHIN_SECONDS
    while is_running(home):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    # A killed supervisor could not take its file away.
    state_file(home).unlink(missing_ok=True)
    _take_leave(pid)
    return True


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _take_leave(pid: int) -> None:
    """Leave no zombie. Only the process that started it has it as a child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _last_lines(home: Path) -> str:
    lines = log_file(home).read_text(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
