"""`$CANARY_HOME/sandbox.json`: the only place where others learn a sandbox's addresses, tokens and pids."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canary.errors import BadUsage
from canary.sandbox.platforms.wire import Platforms
from canary.sandbox.wire import Colour, Fault, Layer


class State(BaseModel):
    """What the file holds. URLs have no slash at the end; `deploy_url` and `metrics_urls` are complete.

    platforms: None for a sandbox that is moved by itself alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pids: dict[str, int]
    router_url: str
    admin_url: str
    deploy_url: str
    flags_url: str
    control_url: str
    metrics_urls: dict[Colour, str]
    admin_token: str = Field(repr=False)
    flags_token: str = Field(repr=False)
    control_token: str = Field(repr=False)
    internal_token: str = Field(repr=False)
    docflow_token: str = Field(repr=False)
    platforms: Platforms | None = None


class Tally(BaseModel):
    """Responses of one version as its users saw them; bad = 5xx, no answer in time, a broken connection."""

    model_config = ConfigDict(frozen=True)

    ok: int = 0
    bad: int = 0


class Load(BaseModel):
    """What the load generator counted since it started; internal testers apart.

    timeouts are Envoy's 504 and the client's own; shed are actions not begun because too many were under way;
    refused are 4xx (a user whose page shows a feature that has just been switched off).
    """

    model_config = ConfigDict(frozen=True)

    sent: int = 0
    ok: int = 0
    refused: int = 0
    server_errors: int = 0
    timeouts: int = 0
    broken: int = 0
    shed: int = 0
    by_version: dict[str, Tally] = Field(default_factory=dict)
    internal_sent: int = 0


class Status(BaseModel):
    """A look at a running sandbox. Weights sum to 10000 in each layer; an idle colour has no version."""

    model_config = ConfigDict(frozen=True)

    versions: dict[Colour, str | None]
    candidate: Colour | None
    weights: dict[Layer, dict[Colour, int]]
    flags: dict[str, bool]
    fault: Fault
    load: Load


def state_file(home: Path) -> Path:
    """There from the moment the sandbox serves until it stops."""
    return home / "sandbox.json"


def work_folder(home: Path) -> Path:
    """Logs, Envoy's configuration and its admin socket; only its owner may enter."""
    return home / "sandbox"


def write_state(home: Path, state: State) -> None:
    """Replace the file in one step, readable by its owner only."""
    fresh = state_file(home).with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(state.model_dump_json(indent=2))
    fresh.replace(state_file(home))


def read_state(home: Path) -> State:
    """Raises BadUsage when no sandbox runs in this home, or its file cannot be read."""
    check_running(home)
    try:
        return State.model_validate_json(state_file(home).read_text())
    except (OSError, ValidationError) as error:
        where = state_file(home)
        raise BadUsage(f"{where} cannot be read ({type(error).__name__})", "canary sandbox down, then up") from error


def check_running(home: Path) -> None:
    """Raises BadUsage, saying how to start one, when no sandbox runs in this home."""
    if not is_running(home):
        raise BadUsage(f"no sandbox is running in {home}", "start one: canary sandbox up")


def lock(home: Path) -> bool:
    """Take the home's sandbox lock, until this process ends. False when another process has it."""
    fd = os.open(work_folder(home) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if _flock(fd, fcntl.LOCK_EX):
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        return True
    os.close(fd)
    return False


def supervisor_pid(home: Path) -> int:
    """Whoever took the lock last; known before the sandbox serves."""
    return int((work_folder(home) / "lock").read_text())


def is_running(home: Path) -> bool:
    """Whether a supervisor lives in this home. Asks the kernel: a pid in a file may be somebody else's."""
    try:
        fd = os.open(work_folder(home) / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
