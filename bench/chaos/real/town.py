"""The process in which the services live, with their users and the way to Envoy's admin API.

    python -m bench.chaos.real.town < its configuration, one line of JSON

It is none of those that are killed: what it writes into its log, line by line, is what truly happened.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bench.chaos.real.proxy import Proxy, Route, stamp
from bench.chaos.real.server import Colour
from bench.chaos.real.users import Users
from canary.sandbox.sockets import HOST

FIRST = "1.0.0"
IDLE = "0.9.0"


class TownConfig(BaseModel):
    """Ports by service and colour, and of the proxy; users per second of each service."""

    model_config = ConfigDict(frozen=True)

    colours: dict[str, dict[str, int]]
    routers: dict[str, str]
    envoy: str
    proxy: int
    rps: float
    log: Path


async def live(config: TownConfig) -> None:
    """Until the process is ended."""
    with config.log.open("a", buffering=1) as log:
        async with AsyncExitStack() as stack:
            await _open(stack, config, log)


async def _open(stack: AsyncExitStack, config: TownConfig, log: IO[str]) -> None:
    def tell(kind: str, what: Mapping[str, Any]) -> None:
        log.write(json.dumps(stamp(kind, what)) + "\n")

    connector = aiohttp.TCPConnector(limit=0)
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, trust_env=False))
    routes = {service: Route(dict(_colours(service))) for service in config.colours}
    for service, ports in config.colours.items():
        for colour, port in ports.items():
            await _listen(stack, routes[service].colours[colour].app(), port)
    await _listen(stack, Proxy(config.envoy, routes, tell, http).app(), config.proxy)
    users = [Users(service, url, config.rps, tell, http) for service, url in config.routers.items()]
    await asyncio.gather(*(each.come() for each in users))


def _colours(service: str) -> Iterator[tuple[str, Colour]]:
    yield "blue", Colour(FIRST, hash_of(service))
    yield "green", Colour(IDLE, hash_of(service) + 1)


def hash_of(service: str) -> int:
    """The same in every process."""
    return sum(service.encode())


async def _listen(stack: AsyncExitStack, app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, port, reuse_port=True).start()


if __name__ == "__main__":
    asyncio.run(live(TownConfig.model_validate_json(sys.stdin.readline())))
