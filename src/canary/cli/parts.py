"""The parts that `demo` and `up` start on this machine: sandbox, Prefect server, worker, guard."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.fernet import Fernet

from canary.errors import CanaryError
from canary.journal.files import make_once
from canary.sandbox.children import Child, spawn
from canary.sandbox.control import Sandbox
from canary.sandbox.sockets import port_of, reserve
from canary.settings import Settings

SERVED_LAST = 5
"""Niceness of Prefect's parts: they must not make the service under judgement look slow."""
_KEY = "PREFECT_SERVER_ENCRYPTION_KEY"
READY_WITHIN = 120.0
"""Seconds for Prefect's server on a slow machine; 7–19 s are usual."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs, and where its UI is."""

    sandbox: Sandbox
    ui: str
    children: tuple[Child, ...]


@asynccontextmanager
async def prefect_server(home: Path) -> AsyncIterator[str]:
    """A Prefect server of our own; its address without /api. It dies with this process."""
    folder = _folder(home)
    with reserve() as reserved:
        port = port_of(reserved)
    os.environ.update(_environment(folder, port))
    app = "prefect.server.api.server:create_app"
    where = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--timeout-keep-alive", "5"]
    argv = [sys.executable, "-m", "uvicorn", "--factory", app, *where]
    key = _key_of_blocks(home, folder)
    server = await spawn("prefect-server", argv, folder, session=True, nice=SERVED_LAST, env=key)
    try:
        await _until_ready(server, f"http://127.0.0.1:{port}/api/health", folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


@asynccontextmanager
async def worker_and_guard(home: Path) -> AsyncIterator[tuple[Child, Child]]:
    """A process worker that polls every second, and the guard. Both die with this process."""
    folder = _folder(home)
    work = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "canary", "--type", "process"]
    worker = await spawn("worker", [*work, "--name", "local"], folder, session=True, nice=SERVED_LAST)
    guard = await spawn("guard", [sys.executable, "-m", "canary", "guard"], folder, session=True, nice=SERVED_LAST)
    try:
        yield worker, guard
    finally:
        await asyncio.gather(worker.stop(), guard.stop())


def _folder(home: Path) -> Path:
    folder = home / "prefect"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _key_of_blocks(home: Path, folder: Path) -> Mapping[str, str]:
    """For the server alone: without it Prefect keeps the key to its blocks in the database that holds them.

    Nothing for a database that has been used so: its blocks could not be read any more.
    """
    file = Settings.from_env(os.environ, home).keys / "prefect.key"
    if _KEY in os.environ or ((folder / "prefect.db").exists() and not file.exists()):
        return {}
    make_once(file, _fill)
    return {_KEY: file.read_text("ascii")}


def _fill(draft: Path) -> None:
    draft.write_bytes(Fernet.generate_key())


def _environment(folder: Path, port: int) -> Mapping[str, str]:
    """For the server, the worker, and whatever this process asks Prefect."""
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        "DO_NOT_TRACK": "1",
    }


async def _until_ready(server: Child, url: str, folder: Path) -> None:
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        for _ in range(int(READY_WITHIN / 0.2)):
            if not server.running:
                break
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
    raise CanaryError("the Prefect server did not start", f"its log says why: {folder / 'prefect-server.log'}")
