"""The docflow process: a main port for users and an admin port for scrapers and for switching faults."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from canary.sandbox import bearer
from canary.sandbox.docflow.api import Api
from canary.sandbox.docflow.behaviour import Behaviour
from canary.sandbox.docflow.config import DocflowConfig
from canary.sandbox.docflow.live import WS_ROUTE, Live
from canary.sandbox.docflow.meters import Meters
from canary.sandbox.docflow.pages import Pages
from canary.sandbox.envoy import USER_HEADER
from canary.sandbox.sockets import HOST
from canary.sandbox.wire import BROKEN_SUFFIX, FAULTS

VERSION_HEADER = "x-docflow-version"
FLAGS_EVERY_SECONDS = 0.2
_UNMEASURED = ("/version", "/healthz", "/metrics", WS_ROUTE)


class Docflow:
    """One version of the service."""

    def __init__(self, config: DocflowConfig) -> None:
        self._config = config
        self._behaviour = Behaviour(config.version, config.flags, config.fault, config.seed)
        self._meters = Meters(config.version)

    async def serve(self) -> None:
        """Until the process is told to stop."""
        runners = [
            await _listen(self._main_app(), self._config.port),
            await _listen(self._admin_app(), self._config.admin_port),
        ]
        following = asyncio.create_task(self._follow_flags())
        await _told_to_stop()
        following.cancel()
        for runner in runners:
            await runner.cleanup()

    def _main_app(self) -> web.Application:
        app = web.Application(middlewares=[self._measured], client_max_size=bearer.LIMIT_BYTES)
        live = Live(self._meters.pushed)
        api = Api(self._behaviour, self._meters, live, self._config.docflow_token)
        routes = [*api.routes(), *Pages(self._behaviour, self._meters).routes()]
        for route in routes:
            self._meters.expect(route.path, route.method, 204 if route.path == "/beacon" else 200)
        own = [web.get("/version", self._version), web.get("/healthz", self._health)]
        app.add_routes([*routes, *own, web.get("/metrics", self._metrics), web.get(WS_ROUTE, live.subscribe)])
        app.on_shutdown.append(live.close)
        app.on_response_prepare.append(self._sign)
        return app

    def _admin_app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/metrics", self._metrics), web.put("/fault", self._set_fault)])
        return app

    @web.middleware
    async def _measured(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._behaviour.starve()
        started = time.perf_counter()
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        finally:
            if not isinstance(sys.exception(), asyncio.CancelledError):
                self._count(request, status, time.perf_counter() - started)
        return response

    def _count(self, request: web.Request, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "other"
        if route not in _UNMEASURED:
            self._meters.answered(route, request.method, status, seconds)
            self._meters.admins.came(request.headers.get(USER_HEADER, ""))

    async def _sign(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers[VERSION_HEADER] = self._config.version

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self._config.version})

    async def _health(self, _: web.Request) -> web.Response:
        if self._config.version.endswith(BROKEN_SUFFIX):
            return bearer.refused(503, f"{self._config.version} never becomes healthy")
        return web.json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        if self._behaviour.fault == "telemetry":
            return bearer.refused(503, "the fault `telemetry` is on")
        return web.Response(body=self._meters.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _set_fault(self, request: web.Request) -> web.Response:
        if not bearer.carries(request, self._config.control_token):
            return bearer.unauthorized()
        fault = (await bearer.json_object(request) or {}).get("fault")
        if fault not in FAULTS:
            return bearer.refused(422, f"the faults are {', '.join(FAULTS)}")
        self._behaviour.suffer(fault)
        return web.json_response({"fault": fault})

    async def _follow_flags(self) -> None:
        """Learn the flags' changes; while the flag service does not answer, keep those known."""
        headers = {"Authorization": f"Bearer {self._config.flags_token}"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                try:
                    await self._look_at_flags(session, headers)
                except (aiohttp.ClientError, TimeoutError) as error:
                    logging.warning("flags not read: %s", type(error).__name__)
                await asyncio.sleep(FLAGS_EVERY_SECONDS)

    async def _look_at_flags(self, session: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        async with session.get(f"{self._config.flags_url}/flags", headers=headers) as response:
            if response.status == 200:
                self._behaviour.flags = await response.json()
                headers["If-None-Match"] = response.headers["ETag"]


async def _listen(app: web.Application, port: int) -> web.AppRunner:
    # A starved request ends with its client: else the fault would pile them up for as long as it lasts.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, reuse_port=True, backlog=1024).start()
    return runner


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """One docflow process, from its configuration on standard input to SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = DocflowConfig.model_validate_json(sys.stdin.readline())
    asyncio.run(Docflow(config).serve())


if __name__ == "__main__":
    main()
