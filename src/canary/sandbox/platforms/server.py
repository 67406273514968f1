"""The platforms' process: from its configuration on standard input until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from canary.sandbox.platforms.certificate import browser_arguments, made
from canary.sandbox.platforms.doors import Doors
from canary.sandbox.platforms.following import Follower, scrape
from canary.sandbox.platforms.street import Street
from canary.sandbox.platforms.town import Town
from canary.sandbox.platforms.wire import Platforms, PlatformsConfig
from canary.sandbox.sockets import HOST
from canary.testing.provider import serving
from canary.testing.slack import slack_server

KEY_FILE = "vercel.pem"
"""In the process's folder, which is the sandbox's own: only its owner may enter."""


async def serve(config: PlatformsConfig) -> None:
    """For ever; says on standard output when all of them answer, and where."""
    async with AsyncExitStack() as stack:
        town = Town(await stack.enter_async_context(slack_server()))
        for provider in town.providers().values():
            await stack.enter_async_context(serving(provider))
        http = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False, auto_decompress=False))
        street = Street(config, http)
        said = await _opened(stack, town, Doors(town, street, config.router_url, http))
        sys.stdout.write(said.model_dump_json() + "\n")
        sys.stdout.flush()
        await asyncio.gather(Follower(town, street).follow(), scrape(street, town.grafana.samples, town.clock))


async def _opened(stack: AsyncExitStack, town: Town, doors: Doors) -> Platforms:
    context, key = made(Path(KEY_FILE), datetime.now(UTC))
    private = await _listen(stack, doors.private_network())
    pages = await _listen(stack, doors.deployments(), context)
    looks = await _listen(stack, _looks(town))
    return Platforms(
        blocks=town.blocks(f"http://{HOST}:{private}"),
        page=f"http://{HOST}:{looks}/",
        browser=browser_arguments(pages, key),
    )


def _looks(town: Town) -> web.Application:
    async def look(_: web.Request) -> web.Response:
        return web.json_response({name: each.model_dump() for name, each in town.look().items()})

    app = web.Application()
    app.add_routes([web.get("/", look)])
    return app


async def _listen(stack: AsyncExitStack, app: web.Application, context: ssl.SSLContext | None = None) -> int:
    """The port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
    return int(runner.addresses[0][1])


def main() -> None:
    """One process of platforms, from its configuration on standard input to SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = PlatformsConfig.model_validate_json(sys.stdin.readline())
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
