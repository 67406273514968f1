"""Everything running in a folder of its own, a browser that looks at it, and a Prefect server alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, TypeVar
from unittest.mock import patch

import httpx
import pytest
import pytest_asyncio

from canary.cli.parts import prefect_server
from canary.errors import JournalUnavailable
from canary.journal.store import SqlJournal, open_journal
from canary.plan.load import load_plan
from canary.plan.model import UiCheck
from canary.ports import Entry
from canary.rollout.people import read_state
from canary.rollout.state import State
from canary.sandbox.children import spawn

T = TypeVar("T")
BIN = Path(sys.executable).parent
SLOW = 150.0
"""Seconds for what takes a quarter of it on a quiet machine."""
BUSY = (
    ("for: 30m", "for: 10m"),
    ("p95 < 200ms", "p95 < 2s"),
    ("p95 < 20ms", "p95 < 1s"),
    ("> 20% over baseline", "> 300% over baseline"),
    ("for: 30s, every: 10s", "for: 30s, every: 30s"),
)
"""A shorter staging, one look of the watch, and the latencies of a machine that tests many things: this is not about
the judge. For the same reason these rollouts visit no pages."""
UP = """
from functools import partial
from canary.cli.main import main
from canary.sandbox.control import Sandbox
Sandbox.start = partial(Sandbox.start, rps={rps})
main()
"""
FEW = 100.0
"""Requests per second of all users, a sixth of the usual ones: they, too, need a processor."""


async def until(look: Callable[[], Awaitable[T | None]], what: str, within: float = SLOW) -> T:
    """What `look` finds first. Fails, saying what was waited for, after `within` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while asyncio.get_running_loop().time() < deadline:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.2)
    pytest.fail(f"waited {within:.0f} s in vain for {what}")


class PlanIn(Protocol):
    """Writes the demo's plan into a folder, each change made once; the file to deploy."""

    def __call__(self, folder: Path, *changes: tuple[str, str]) -> Path: ...


@pytest.fixture(scope="session")
def plan_in() -> PlanIn:
    """The demo's plan for a busy machine."""

    def write(folder: Path, *changes: tuple[str, str]) -> Path:
        plans = Path(str(files("canary.plans")))
        texts = {name: (plans / name).read_text() for name in ("phase1.yaml", "demo.yaml")}
        for old, new in (*BUSY, *changes):
            (name,) = [name for name, text in texts.items() if old in text]
            texts[name] = texts[name].replace(old, new, 1)
        pages = [check.name for check in load_plan(plans / "phase1.yaml").plan.checks if isinstance(check, UiCheck)]
        texts["demo.yaml"] += f"\nwithout: {json.dumps(pages)}\n"
        for name, text in texts.items():
            (folder / name).write_text(text)
        return folder / "demo.yaml"

    return write


@pytest.fixture(scope="session")
def for_hours() -> tuple[str, str]:
    """A change of the plan: no deadline of the canary comes while a test does what ends it."""
    return "for: 30m\n    exposure: 10%", "for: 10h\n    exposure: 10%"


@dataclass(frozen=True)
class Place:
    """A Prefect server and a home of our own: commands run in it, its API and its journal."""

    ui: str
    env: Mapping[str, str]
    http: httpx.AsyncClient
    until = staticmethod(until)

    async def run(self, *command: str, cwd: Path | None = None) -> tuple[int, str]:
        """Exit code and all output of `canary …` or `prefect …`."""
        program, *arguments = command
        process = await asyncio.create_subprocess_exec(
            BIN / program, *arguments, env=self.env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(process.communicate(), SLOW)
        return process.returncode or 0, output.decode()

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """The API's answer. Asked again while a server on SQLite is too busy (503), as Prefect's own client does."""

        async def look() -> httpx.Response | None:
            answer = await self.http.request(method, f"{self.ui}/api/{path}", json=body if method == "POST" else None)
            return None if answer.status_code == 503 else answer

        return await until(look, f"an answer to {method} {path}")

    async def ask(self, path: str, **body: Any) -> Any:
        """The API's answer to a POST."""
        answer = await self.call("POST", path, **body)
        assert answer.is_success, answer.text
        return answer.json()

    async def everything(self, kind: str) -> list[Any]:
        """All flow_runs, logs, artifacts …: 200 come at a time."""
        found: list[Any] = []
        while more := await self.ask(f"{kind}/filter", limit=200, offset=len(found)):
            found += more
        return found

    async def deployment(self, name: str) -> Any:
        answer = await self.call("GET", f"deployments/name/{name}")
        return answer.json() if answer.status_code == 200 else None

    async def start(self, deployment: str, **parameters: str) -> str:
        """A run of the deployment, as its form makes one; the run's id."""
        found = await self.deployment(deployment)
        run = await self.ask(f"deployments/{found['id']}/create_flow_run", parameters=parameters)
        return str(run["id"])

    async def flow_run(self, run: str) -> Any:
        return (await self.call("GET", f"flow_runs/{run}")).json()

    async def ended(self, run: str) -> Any:
        """The run's final state."""

        async def look() -> Any:
            state = (await self.flow_run(run))["state"]
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return await until(look, f"the end of run {run}")

    async def journal(self, rollout: str) -> tuple[State, list[Entry]]:
        return await self._told(lambda journal: _state_and_lines(journal, rollout))

    async def rollouts(self) -> list[str]:
        return list(await self._told(lambda journal: journal.rollouts()))

    async def _told(self, ask: Callable[[SqlJournal], Awaitable[T]]) -> T:
        """The journal's answer. Asked again while a busy disk lets it wait for longer than a conductor would."""

        async def look() -> T | None:
            journal = open_journal(env=self.env)
            try:
                return await ask(journal)
            except JournalUnavailable:
                return None
            finally:
                await journal.close()

        return await until(look, "an answer of the journal")


async def _state_and_lines(journal: SqlJournal, rollout: str) -> tuple[State, list[Entry]]:
    return await read_state(journal, rollout), list(await journal.read(rollout))


def environment(home: Path, ui: str = "") -> dict[str, str]:
    """Nothing of the machine's own Prefect or canary settings; `ui` is the Prefect server's address."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "CANARY_"))}
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_HOME": str(home / "prefect")}
    api = {"PREFECT_API_URL": f"{ui}/api"} if ui else {}
    return {**kept, **quiet, **api, "CANARY_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1"}


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as opened:
        yield opened


@asynccontextmanager
async def everything_up(home: Path, more: Mapping[str, str], rps: float = FEW) -> AsyncIterator[Place]:
    """`canary up`, ended by Ctrl-C as a person ends it. It dies with the tests, should they be killed."""
    with patch.dict(os.environ, {**environment(home), **more}, clear=True):
        child = await spawn(
            "up", [sys.executable, "-c", UP.format(rps=rps), "up", "--json"], home, talks=True, session=True
        )
    assert child.process.stdout is not None
    try:
        told = await asyncio.wait_for(child.process.stdout.readline(), SLOW)
        assert told, (home / "up.log").read_text()
        ui = json.loads(told)["ui"]
        async with client() as http:
            yield Place(ui, {**environment(home, ui), **more}, http)
        child.process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(child.process.wait(), SLOW)
        assert code == 0, (home / "up.log").read_text()
    finally:
        await child.stop()


@pytest.fixture(scope="module")
def rps() -> float:
    """How much the users of `up` ask. A module whose rollouts are promoted needs more of them."""
    return FEW


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(rps: float, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Everything, with nothing set but a home and how many users there are."""
    async with everything_up(tmp_path_factory.mktemp("up"), {}, rps) as place:
        yield place


@pytest.fixture(scope="session")
def bring_up() -> Callable[[Path, Mapping[str, str]], AbstractAsyncContextManager[Place]]:
    """Everything, in a home and with settings of the test's own."""
    return everything_up


@asynccontextmanager
async def server_alone(home: Path) -> AsyncIterator[str]:
    """A Prefect server without worker and sandbox: its address. What it is started with is nobody else's setting."""
    with patch.dict(os.environ):
        async with prefect_server(home) as ui:
            yield ui


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def everybodys_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """To make a database takes Prefect more time than most tests: they have one server, and say what they look at."""
    async with server_alone(tmp_path_factory.mktemp("server")) as ui:
        yield ui


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(everybodys_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """A Prefect server that others have used, and a home of our own."""
    async with client() as http:
        yield Place(everybodys_server, environment(tmp_path_factory.mktemp("home"), everybodys_server), http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def new_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """A Prefect server that nobody has used, and a home of our own."""
    home = tmp_path_factory.mktemp("server")
    async with server_alone(home) as ui, client() as http:
        yield Place(ui, environment(home, ui), http)
