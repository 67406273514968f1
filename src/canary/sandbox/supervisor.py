"""The sandbox's one parent process: starts the children, answers for flags, admin and control.

It ends when told to (SIGTERM), or when Envoy, the load generator or the platforms' process dies: Envoy's weights would
be lost with a restart, and a sandbox that silently shifted its users back would teach the wrong thing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from canary.errors import BadUsage, CanaryError
from canary.sandbox import envoy
from canary.sandbox.adminproxy import AdminProxy
from canary.sandbox.children import Child, spawn
from canary.sandbox.controlapi import ControlApi
from canary.sandbox.docflow.config import DocflowConfig
from canary.sandbox.envoyadmin import EnvoyAdmin
from canary.sandbox.flagservice import FlagService
from canary.sandbox.fleet import Fleet
from canary.sandbox.load.config import LoadConfig
from canary.sandbox.loaddriver import LoadDriver
from canary.sandbox.places import Places, Tokens
from canary.sandbox.platforms import driver
from canary.sandbox.platforms.wire import Platforms, PlatformsConfig
from canary.sandbox.sockets import HOST, port_of, reserve
from canary.sandbox.state import State, lock, state_file, work_folder, write_state
from canary.sandbox.wire import COLOURS, INITIAL_FLAGS, STABLE_VERSION, Colour, Fault

READY_WITHIN_SECONDS = 18.0
_SEED = 209
_LOCK_PATIENCE_SECONDS = 1.0
_WANTED_FILES = 16_384


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    home: Path
    rps: float
    users: int
    router_port: int | None
    platforms: bool


class Supervisor:
    """One sandbox. `run` returns when it has been stopped, and leaves no child behind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = work_folder(settings.home)
        self._places = Places(router=reserve(settings.router_port))
        self._tokens = Tokens()
        self._flags = FlagService(INITIAL_FLAGS, self._tokens.flags)
        self._urls: dict[str, str] = {}
        self._platforms: Platforms | None = None

    async def run(self) -> None:
        stop = _stop_signal()
        async with AsyncExitStack() as stack:
            stack.callback(state_file(self._settings.home).unlink, missing_ok=True)
            beside = await self._begin_platforms(stack)
            router = await self._start_envoy(stack)
            admin = await stack.enter_async_context(EnvoyAdmin())
            self._urls["flags"] = await _listen(stack, self._flags.app())
            fleet = await self._start_fleet(stack)
            await _until_ready(admin, router, fleet)
            load = await self._start_load(stack, fleet)
            await self._open(stack, admin, fleet, load, [router, *beside])
            await self._watch(stop, [router, *beside], load)

    async def _begin_platforms(self, stack: AsyncExitStack) -> list[Child]:
        """Their process, or nothing where nobody asked for them."""
        if not self._settings.platforms:
            return []
        child = await driver.begin(self._folder)
        stack.push_async_callback(child.stop)
        return [child]

    async def _start_envoy(self, stack: AsyncExitStack) -> Child:
        binary = envoy.binary()
        ports = {colour: port_of(sock) for colour, sock in self._places.main.items()}
        config = envoy.bootstrap(port_of(self._places.router), ports, self._tokens.internal)
        path = self._folder / "envoy.json"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(config, file)
        flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        child = await spawn("envoy", [str(binary), "-c", str(path), *flags], self._folder)
        stack.push_async_callback(child.stop)
        return child

    async def _start_fleet(self, stack: AsyncExitStack) -> Fleet:
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        await stack.enter_async_context(session)
        fleet = Fleet(self._docflow, self._folder, session)
        stack.push_async_callback(fleet.stop)
        await fleet.deploy("blue", STABLE_VERSION)
        return fleet

    def _docflow(self, colour: Colour, version: str, fault: Fault) -> DocflowConfig:
        return DocflowConfig(
            version=version,
            port=port_of(self._places.main[colour]),
            admin_port=port_of(self._places.admin[colour]),
            docflow_token=self._tokens.docflow,
            control_token=self._tokens.control,
            flags_url=self._urls["flags"],
            flags_token=self._tokens.flags,
            flags=self._flags.document,
            fault=fault,
            seed=_SEED + COLOURS.index(colour),
        )

    async def _start_load(self, stack: AsyncExitStack, fleet: Fleet) -> LoadDriver:
        config = LoadConfig(
            router_url=self._places.router_url,
            rps=self._settings.rps,
            users=self._settings.users,
            seed=_SEED,
            docflow_token=self._tokens.docflow,
            internal_token=self._tokens.internal,
        )
        load = await LoadDriver.start(config, self._folder)
        stack.push_async_callback(load.child.stop)
        await load.show(fleet)
        return load

    async def _open(
        self, stack: AsyncExitStack, admin: EnvoyAdmin, fleet: Fleet, load: LoadDriver, parts: list[Child]
    ) -> None:
        """Answer for admin and control, and tell the world where."""

        async def changed() -> None:
            await load.show(fleet)
            own = {"supervisor": os.getpid(), "load": load.child.pid, **{part.name: part.pid for part in parts}}
            write_state(self._settings.home, self._state({**own, **fleet.pids()}))

        proxy = AdminProxy(admin, fleet, self._tokens.admin, changed)
        self._urls["admin"] = await _listen(stack, proxy.app())
        control = ControlApi(admin, fleet, self._flags, load, self._tokens.control)
        self._urls["control"] = await _listen(stack, control.app())
        for part in parts:
            if part.name == driver.NAME:
                self._platforms = await driver.told(part, self._driven())
        await changed()

    def _driven(self) -> PlatformsConfig:
        return PlatformsConfig(
            router_url=self._places.router_url,
            admin_url=self._urls["admin"],
            deploy_url=f"{self._urls['admin']}/deploy",
            flags_url=self._urls["flags"],
            metrics_urls=self._places.metrics_urls(),
            admin_token=self._tokens.admin,
            flags_token=self._tokens.flags,
            internal_token=self._tokens.internal,
        )

    def _state(self, pids: dict[str, int]) -> State:
        return State(
            pids=pids,
            router_url=self._places.router_url,
            admin_url=self._urls["admin"],
            deploy_url=f"{self._urls['admin']}/deploy",
            flags_url=self._urls["flags"],
            control_url=self._urls["control"],
            metrics_urls=self._places.metrics_urls(),
            admin_token=self._tokens.admin,
            flags_token=self._tokens.flags,
            control_token=self._tokens.control,
            internal_token=self._tokens.internal,
            docflow_token=self._tokens.docflow,
            platforms=self._platforms,
        )

    async def _watch(self, stop: asyncio.Event, parts: list[Child], load: LoadDriver) -> None:
        tasks: dict[asyncio.Task[object], str | None] = {
            asyncio.create_task(part.process.wait()): part.name for part in parts
        }
        tasks[asyncio.create_task(load.listen())] = load.child.name
        tasks[asyncio.create_task(stop.wait())] = None
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        died = next((tasks[task] for task in done), None)
        if died and not stop.is_set():
            raise CanaryError(f"{died} died; the sandbox stops", f"see {self._folder / died}.log")


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _listen(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, 0).start()
    return f"http://{HOST}:{runner.addresses[0][1]}"


async def _until_ready(admin: EnvoyAdmin, router: Child, fleet: Fleet) -> None:
    """Envoy routes, and the stable version answers. Raises CanaryError when either dies or takes too long."""
    deadline = asyncio.get_running_loop().time() + READY_WITHIN_SECONDS
    while not (await admin.ready() and await fleet.answers("blue")):
        if not router.running:
            raise CanaryError("envoy did not start", "see envoy.log in the sandbox's folder")
        if fleet.versions()["blue"] is None:
            raise CanaryError("docflow did not start", "see blue.log in the sandbox's folder")
        if asyncio.get_running_loop().time() > deadline:
            raise CanaryError(f"envoy and docflow were not ready within {READY_WITHIN_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


def _settings() -> Settings:
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox.supervisor")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rps", type=float, required=True)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--router-port", type=int)
    parser.add_argument("--platforms", action="store_true")
    given = parser.parse_args()
    return Settings(given.home, given.rps, given.users, given.router_port, given.platforms)


async def _supervise(settings: Settings) -> None:
    await _lock(settings.home)
    _enter(work_folder(settings.home))
    await Supervisor(settings).run()


async def _lock(home: Path) -> None:
    """Raises BadUsage when a sandbox lives there already.

    Somebody who only looks holds the lock for an instant.
    """
    deadline = asyncio.get_running_loop().time() + _LOCK_PATIENCE_SECONDS
    while not lock(home):
        if asyncio.get_running_loop().time() > deadline:
            raise BadUsage(f"a sandbox is already running in {home}", "stop it first: canary sandbox down")
        await asyncio.sleep(0.02)


def _enter(folder: Path) -> None:
    """Envoy's socket is addressed relative to the folder; every connection on both sides is an open file."""
    os.chdir(folder)
    Path(envoy.ADMIN_SOCKET).unlink(missing_ok=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _WANTED_FILES), most))


def main() -> None:
    """Exits with the error's code; its words are the log's last lines."""
    settings = _settings()
    try:
        asyncio.run(_supervise(settings))
    except CanaryError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
