"""Every source of metrics passes the suite: the fake, the scraper, and a real Prometheus on the same application."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

from canary.blocks.prometheus import PrometheusServer
from canary.blocks.scraper import MetricsScraper
from canary.ports import Arm, Increment, Metrics, Scrape
from canary.testing.fakes import FakeClock, FakeMetrics
from canary.testing.metrics import ARMS, EDGES_MS, SIGNALS, MetricsConformance, total

VERSIONS: dict[Arm, str] = {"canary": "2.1.0", "baseline": "2.0.9"}


class App:
    """An application of both versions with prometheus_client's metrics; `broken` makes /metrics answer 503."""

    def __init__(self) -> None:
        self.registry, self.broken = CollectorRegistry(), False
        self.requests = Counter("http_requests", "", ["version", "status"], registry=self.registry)
        self.newest = Gauge("newest_request_ms", "", ["version"], registry=self.registry)
        self.latency = Histogram("publish_latency_ms", "", ["version"], registry=self.registry, buckets=EDGES_MS)

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        self.requests.labels(VERSIONS[arm], str(status)).inc(times)
        self.newest.labels(VERSIONS[arm]).set(ms)
        for _ in range(times):
            self.latency.labels(VERSIONS[arm]).observe(ms)

    async def handle(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=503, text="no telemetry")
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": "text/plain"})


@dataclass
class FakeStage:
    """FakeMetrics, and an application that is a list."""

    clock: FakeClock = field(default_factory=FakeClock)
    metrics: FakeMetrics = field(default_factory=lambda: FakeMetrics(arms=ARMS))
    pending: list[tuple[Arm, int, int, float]] = field(default_factory=list)
    newest: dict[Arm, float] = field(default_factory=dict)

    def open(self) -> Metrics:
        return self.metrics

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        self.pending.append((arm, status, times, ms / 1000))

    async def measured(self, metrics: Metrics) -> float:
        await self.clock.sleep(1)
        arms: dict[Arm, list[tuple[int, int, float]]] = {}
        for arm, status, times, seconds in self.pending:
            arms.setdefault(arm, []).append((status, times, seconds))
        self.newest |= {arm: 1000 * seconds for arm, _, _, seconds in self.pending}
        self.pending.clear()
        gauges: dict[Arm, Increment] = {arm: Increment(0, last=ms) for arm, ms in self.newest.items()}
        self.metrics.scrapes.append(Scrape(self.clock.now(), {**_signals(arms), "newest": gauges}))
        return self.clock.now()

    async def breaks(self) -> None:
        self.metrics.fails = "the server is away"


def _signals(arms: dict[Arm, list[tuple[int, int, float]]]) -> dict[str, dict[Arm, Increment]]:
    errors: dict[Arm, Increment] = {}
    latency: dict[Arm, Increment] = {}
    for arm, served in arms.items():
        count = sum(times for _, times, _ in served)
        errors[arm] = Increment(count, sum(times for status, times, _ in served if status >= 500))
        edges = {ms / 1000: sum(n for _, n, s in served if s <= ms / 1000) for ms in EDGES_MS}
        latency[arm] = Increment(count, 0, edges)
    plain: dict[Arm, Increment] = {arm: Increment(found.total) for arm, found in errors.items()}
    return {"http_errors": errors, "latency": latency, "requests": plain}


class TestFakeMetrics(MetricsConformance):
    """The fake."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        return FakeStage()


@dataclass
class ScrapedStage:
    """The application, read by the scraper in virtual time."""

    url: str
    app: App = field(default_factory=App)
    clock: FakeClock = field(default_factory=FakeClock)

    def open(self) -> Metrics:
        return MetricsScraper.from_fields("scraper/docflow", {"urls": [self.url]}, self.clock)

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        self.app.serve(arm, status, times, ms)

    async def measured(self, metrics: Metrics) -> float:
        await self.clock.sleep(1)
        await metrics.read(SIGNALS, ARMS, self.clock.now(), self.clock.now())
        return self.clock.now()

    async def breaks(self) -> None:
        await self.clock.sleep(1)
        self.app.broken = True


class TestMetricsScraper(MetricsConformance):
    """The built-in scraper."""

    @pytest.fixture
    async def stage(self, serve: Any) -> ScrapedStage:
        app = App()
        return ScrapedStage(await serve(app.handle), app)


CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - {{job_name: docflow, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, require: Callable[[str], Path]) -> Iterator[tuple[str, App]]:
    """A real Prometheus, and the application that it scrapes: it takes 5 s to its first scrape."""
    program, app, folder = require("prometheus"), App(), tmp_path_factory.mktemp("prometheus")
    server, thread = start_http_server(0, "127.0.0.1", app.registry)
    (folder / "prometheus.yml").write_text(CONFIG.format(port=server.server_port))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {"config.file": folder / "prometheus.yml", "storage.tsdb.path": folder / "data"}
    flags = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen([program, *flags, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    try:
        yield f"http://{address}", app
    finally:
        process.kill()
        process.wait()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class PrometheusStage:
    """The application, read from the real Prometheus through a relay that can break."""

    url: str
    app: App
    relay: str = ""
    broken: bool = False

    def open(self) -> Metrics:
        return PrometheusServer.from_fields("prometheus/docflow", {"url": self.relay})

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        self.app.serve(arm, status, times, ms)

    async def handle(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=503, text="the relay is broken")
        async with httpx.AsyncClient() as client:
            headers = {"content-type": request.content_type}
            said = await client.post(f"{self.url}{request.path}", content=await request.read(), headers=headers)
        return web.Response(status=said.status_code, body=said.content, content_type="application/json")

    async def measured(self, metrics: Metrics) -> float:
        """A scrape of all series that began after now has been stored."""
        begun, deadline = time.time(), time.monotonic() + 20
        async with httpx.AsyncClient() as client:
            while time.monotonic() < deadline:
                times = await self._scraped(client)
                if times and min(times) > begun:
                    return max(times)
                await asyncio.sleep(0.05)
        raise AssertionError("Prometheus did not scrape the application within 20 s")

    async def _scraped(self, client: httpx.AsyncClient) -> list[float]:
        query = {"query": "timestamp(http_requests_total)", "time": f"{time.time():.3f}"}
        try:
            said = (await client.get(f"{self.url}/api/v1/query", params=query)).json()
        except (httpx.TransportError, ValueError):
            return []
        return [float(one["value"][1]) for one in said["data"]["result"]]

    async def breaks(self) -> None:
        self.broken = True


class TestPrometheusServer(MetricsConformance):
    """The adapter on a real Prometheus."""

    @pytest.fixture
    async def stage(self, prometheus: tuple[str, App], serve: Any) -> PrometheusStage:
        url, app = prometheus
        stage = PrometheusStage(url, app)
        stage.relay = await serve(stage.handle)
        return stage

    async def test_equal_to_the_scraper(self, stage: PrometheusStage, serve: Any) -> None:
        """On one application and one window, the scraper and Prometheus read the same increments."""
        clock = FakeClock()
        scraper = MetricsScraper.from_fields("scraper/x", {"urls": [await serve(stage.app.handle)]}, clock)
        server = stage.open()
        stage.serve("canary", 200, 3, ms=3)
        stage.serve("baseline", 200, 3, ms=3)
        await scraper.read(SIGNALS, ARMS, clock.now(), clock.now())
        begun, since = clock.now(), await stage.measured(server)
        for status, times, ms in ((200, 11, 4.0), (500, 1, 300.0), (503, 2, 19.0)):
            stage.serve("canary", status, times, ms)
            stage.serve("baseline", 200, times * 9, ms)
            until = await stage.measured(server)
        await clock.sleep(30)
        scraped = await scraper.read(SIGNALS, ARMS, begun, clock.now())
        queried = await server.read(SIGNALS, ARMS, since, until)
        for signal in SIGNALS:
            for arm in VERSIONS:
                assert total(scraped, signal, arm) == total(queried, signal, arm)
        assert total(queried, "http_errors", "canary") == Increment(14, 3)
        await scraper.close()
        await server.close()
