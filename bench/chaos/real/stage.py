"""Everything that a round needs, running on this machine: Postgres, Envoy, the services, Prefect, a worker, a guard.

All of it lives below one folder and on loopback, and ends with this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.chaos.real.postgres import Cluster
from bench.chaos.real.programs import Program, flow_processes, send
from bench.chaos.real.routes import block_fields, configuration, plan
from bench.chaos.real.town import TownConfig
from canary.plan.load import LoadedPlan, load_plan
from canary.sandbox import envoy
from canary.sandbox.sockets import HOST, port_of, reserve

RPS = 80.0
"""Users of one service, requests a second: half of them on the candidate show in ten seconds what is asked."""
PACES = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1"}


@dataclass
class Stage:
    """programs: by the names of the victims, and envoy, town. proxy: where Envoy is changed, and changes are held."""

    home: Path
    programs: Mapping[str, Program]
    plans: Mapping[str, LoadedPlan]
    proxy: str
    log: Path
    journal_url: str

    @property
    def services(self) -> list[str]:
        return list(self.plans)


def free_port() -> int:
    with reserve() as sock:
        return port_of(sock)


@asynccontextmanager
async def running(home: Path, services: Sequence[str], journal_url: str = "") -> AsyncIterator[Stage]:
    """Up until the end of the block. journal_url: another journal than Postgres."""
    (home / "prefect").mkdir(parents=True)
    cluster = None if journal_url else Cluster(home / "postgres")
    url = journal_url or f"{cluster.url('canary') if cluster else ''}"
    ports = _Ports.of(services)
    os.environ.update(_environment(home, url, ports.prefect))
    programs = _programs(home, cluster, ports)
    try:
        if cluster:
            await programs["postgres"].start()
            cluster.create("canary")
        await programs["envoy"].start()
        await programs["town"].start(ports.town(home).model_dump_json())
        await programs["server"].start()
        plans = {service: _written(home, service) for service in services}
        stage = Stage(home, programs, plans, f"http://{HOST}:{ports.proxy}", home / "town.jsonl", url)
        await _deploy(stage, ports)
        await asyncio.gather(programs["worker"].start(), programs["guard"].start())
        await _until_polled()
        yield stage
    finally:
        await _end(home, programs)


@dataclass(frozen=True)
class _Ports:
    colours: dict[str, dict[str, int]]
    routers: dict[str, int]
    envoy: int
    proxy: int
    prefect: int

    @classmethod
    def of(cls, services: Sequence[str]) -> _Ports:
        colours = {service: {"blue": free_port(), "green": free_port()} for service in services}
        routers = {service: free_port() for service in services}
        return cls(colours, routers, free_port(), free_port(), free_port())

    def router(self, service: str) -> str:
        return f"http://{HOST}:{self.routers[service]}"

    def town(self, home: Path) -> TownConfig:
        routers = {service: self.router(service) for service in self.routers}
        admin, log = f"http://{HOST}:{self.envoy}", home / "town.jsonl"
        return TownConfig(colours=self.colours, routers=routers, envoy=admin, proxy=self.proxy, rps=RPS, log=log)


def _environment(home: Path, journal_url: str, port: int) -> dict[str, str]:
    checkout = Path(__file__).resolve().parents[3]
    return {
        **PACES,
        "PYTHONPATH": f"{checkout / 'src'}{os.pathsep}{checkout}",
        "CANARY_HOME": str(home),
        "CANARY_JOURNAL_URL": journal_url,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def _programs(home: Path, cluster: Cluster | None, ports: _Ports) -> dict[str, Program]:
    (home / "envoy.json").write_text(json.dumps(configuration(ports.envoy, ports.routers, ports.colours)))
    quiet = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    python, api = sys.executable, f"http://{HOST}:{ports.prefect}/api"
    served = ["--host", HOST, "--port", str(ports.prefect), "--log-level", "warning", "--timeout-keep-alive", "5"]
    serve = [python, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *served]
    work = [python, "-m", "prefect", "worker", "start", "--pool", "canary", "--type", "process", "--name", "chaos"]
    found = {
        "envoy": Program("envoy", [str(envoy.binary()), "-c", str(home / "envoy.json"), *quiet], home),
        "town": Program("town", [python, "-m", "bench.chaos.real.town"], home, talks=True),
        "server": Program("server", serve, home, ready=lambda: _answers(f"{api}/health")),
        "worker": Program("worker", work, home),
        "guard": Program("guard", [python, "-m", "canary", "guard"], home),
    }
    found["envoy"].ready = lambda: _answers(f"http://{HOST}:{ports.envoy}/ready")
    found["town"].ready = lambda: _answers(f"http://{HOST}:{ports.proxy}/{next(iter(ports.routers))}/server_info")
    if cluster:
        socket = cluster.folder / ".s.PGSQL.5432"
        found["postgres"] = Program("postgres", cluster.argv, home, whole=True, ready=lambda: _accepts(socket))
    return found


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(url)).status_code == 200
    return False


async def _accepts(socket: Path) -> bool:
    """Whether Postgres takes connections there, a recovery after a crash included."""
    import asyncpg  # type: ignore[import-untyped]

    try:
        connection = await asyncpg.connect(f"postgresql://postgres@/postgres?host={socket.parent}", timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


def _written(home: Path, service: str) -> LoadedPlan:
    base, overlay = home / f"{service}.yaml", home / f"{service}-here.yaml"
    whole = plan(service)
    pace = {name: whole.pop(name) for name in ("time_scale", "grant_approvals")}
    base.write_text(json.dumps(whole))
    overlay.write_text(json.dumps({"overlay": base.name, **pace}))
    return load_plan(overlay)


async def _deploy(stage: Stage, ports: _Ports) -> None:
    """Blocks, plans and deployments. Prefect reads its settings when it is imported: only now."""
    from canary.blocks.registry import save
    from canary.cli.deploying import deploy
    from canary.cli.store import journal

    for service in stage.services:
        fields = block_fields(service, ports.router(service), stage.proxy, ports.colours[service])
        for ref, values in fields.items():
            await save(ref, values)
    async with journal(within=10.0) as opened:
        for loaded in stage.plans.values():
            await deploy(opened, loaded)


async def _until_polled() -> None:
    from prefect.client.orchestration import get_client

    from canary.cli.deploying import has_worker

    async with get_client() as client, asyncio.timeout(60):
        while not await has_worker(client):  # noqa: ASYNC110 - another process begins: no event tells it
            await asyncio.sleep(0.3)


async def _end(home: Path, programs: Mapping[str, Program]) -> None:
    """The worker first, so that no flow is begun anew; Postgres last."""
    for name in ("worker", "guard"):
        await programs[name].end()
    for pid in flow_processes(home):
        send(pid, "KILL")
    for name in ("server", "town", "envoy", "postgres"):
        if name in programs:
            await programs[name].end()
