"""A real Prometheus and a real Alertmanager with a plan's rules; and the same Prometheus read through a Grafana."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from canary.blocks.grafana import GrafanaServer
from canary.blocks.prometheus import PrometheusServer
from canary.boards.alerting import rule_file
from canary.plan.load import load_plan
from canary.plan.model import Arms
from canary.testing.grafana import Grafana
from canary.testing.metrics import total
from canary.testing.provider import serving

PHASE1 = Path(__file__).parents[3] / "plans" / "phase1.yaml"
WITHIN = 40.0
"""Seconds in which a program is ready, or an alert arrives: it takes about 6, on a machine that does nothing else."""
ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
PROMETHEUS = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: docflow, static_configs: [{{targets: ["127.0.0.1:{app}"]}}]}}]
"""
ALERTMANAGER = """
route: {{receiver: hook, group_by: [alertname], group_wait: 100ms, group_interval: 1s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{hook}", send_resolved: false}}]}}]
"""


class App:
    """What the plan's alerts look at."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "", ["version", "route", "status"], registry=self.registry)
        edges = (0.1, 0.2, 0.5, 0.9, 1.0)
        self.confidence = Histogram("ai_confidence", "", ["version"], registry=self.registry, buckets=edges)
        self.forecasts = Histogram("forecast_error_ratio", "", ["version"], registry=self.registry, buckets=edges)

    def serve(self, status: str, confidence: float, off: float) -> None:
        """A request to a feature, a document classified, a forecast made."""
        self.requests.labels("2.1.0", "/api/admin/queue", status).inc()
        self.confidence.labels("2.1.0").observe(confidence)
        self.forecasts.labels("2.1.0").observe(off)


@dataclass
class Servers:
    """The application, the address of the Prometheus that scrapes it, and what the Alertmanager has sent on."""

    app: App
    url: str
    told: list[dict[str, Any]] = field(default_factory=list)

    async def asked(self, path: str) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{self.url}{path}")).json()["data"]

    async def evaluated(self) -> bool:
        """Every rule was evaluated, without an error, after requests had been scraped twice."""
        (group,) = (await self.asked("/api/v1/rules"))["groups"]
        scraped = await self.asked("/api/v1/query?query=count_over_time(http_requests_total[10s])")
        healthy = all(rule["health"] == "ok" for rule in group["rules"])
        return healthy and any(float(one["value"][1]) >= 2 for one in scraped["result"])


def _free() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


async def _until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        try:
            if await true():
                return
        except (httpx.TransportError, ValueError, KeyError):
            pass
        await asyncio.sleep(0.1)
    pytest.fail(f"it did not happen within {WITHIN:.0f} s")


@asynccontextmanager
async def _running(*argv: str | Path) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*argv, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def _hook(told: list[dict[str, Any]]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        told.extend((await request.json())["alerts"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/alerts", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/alerts"
    finally:
        await runner.cleanup()


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """The runbook's alerts, looked at every five seconds."""
    overlay = tmp_path / "soon.yaml"
    overlay.write_text(f"overlay: {PHASE1}\nwatch: {{for: 1h, every: 5s}}\n")
    return rule_file(load_plan(overlay).plan)


@pytest.fixture
async def servers(tmp_path: Path, rules: str, require: Callable[[str], Path]) -> AsyncIterator[Servers]:
    """Both programs with the plan's rules, on an application that has answered one good request."""
    prometheus, alertmanager = require("prometheus"), require("prometheus-alertmanager")
    app, addresses = App(), (_free(), _free())
    app.serve("200", confidence=0.95, off=0.05)
    exposed, thread = start_http_server(0, "127.0.0.1", app.registry)
    servers = Servers(app, f"http://{addresses[0]}")
    (tmp_path / "rules.yaml").write_text(rules)
    filled = PROMETHEUS.format(alertmanager=addresses[1], app=exposed.server_port)
    (tmp_path / "prometheus.yml").write_text(filled)
    async with AsyncExitStack() as stack:
        hook = await stack.enter_async_context(_hook(servers.told))
        (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.format(hook=hook))
        for argv in (
            [
                alertmanager,
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--storage.path={tmp_path / 'am'}",
                f"--web.listen-address={addresses[1]}",
                "--cluster.listen-address=",
            ],
            [
                prometheus,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address={addresses[0]}",
            ],
        ):
            await stack.enter_async_context(_running(*argv))
        await _until(servers.evaluated)
        yield servers
    exposed.shutdown()
    exposed.server_close()
    thread.join()


async def test_alerts_of_three_levels_arrive(servers: Servers) -> None:
    """A healthy service tells nothing; a 5xx, unsure answers and forecasts that are off arrive with their levels."""
    assert servers.told == []
    assert (await servers.asked("/api/v1/alerts"))["alerts"] == []

    async def arrived() -> bool:
        servers.app.serve("503", confidence=0.3, off=0.4)
        return {alert["labels"]["severity"] for alert in servers.told} == {"critical", "warning", "info"}

    await _until(arrived)
    found = {alert["labels"]["severity"]: alert for alert in servers.told}
    assert {severity: alert["labels"]["alertname"] for severity, alert in found.items()} == {
        "critical": "docflow http_errors any on features",
        "warning": "docflow ai_confidence p10 < 0.5",
        "info": "docflow forecast_error p50 > 20%",
    }
    for alert in found.values():
        assert alert["labels"]["service"] == "docflow"
        assert alert["annotations"]["summary"].startswith("docflow ")


async def test_grafana_reads_what_prometheus_has(servers: Servers) -> None:
    """Through either way the increments are those that the Prometheus behind it gives, to the last digit."""
    plan = load_plan(PHASE1).plan
    signals = {name: plan.signals[name] for name in ("http_errors", "ai_confidence", "forecasts")}
    since = time.time() - 30
    for status in ("200", "200", "503"):
        servers.app.serve(status, confidence=0.3, off=0.05)
    truth = PrometheusServer.from_fields("prometheus/x", {"url": servers.url})

    async def scraped() -> bool:
        scrapes = await truth.read(signals, ARMS, since, time.time())
        return total(scrapes, "http_errors", "canary").bad == 1

    await _until(scraped)
    until = time.time()
    wanted = await truth.read(signals, ARMS, since, until)
    await truth.close()
    for reads in ("proxy", "query"):
        assert await _through_grafana(servers.url, reads, signals, since, until) == wanted


async def _through_grafana(upstream: str, reads: str, *asked: Any) -> Any:
    signals, since, until = asked
    grafana = Grafana(tokens={"t": "Viewer"}, upstream=upstream)
    async with serving(grafana):
        fields = {"url": grafana.url, "token": "t", "datasource": "prom", "reads": reads}
        block = GrafanaServer.from_fields("grafana/x", fields)
        try:
            await block.check_connection()
            return await block.read(signals, ARMS, since, until)
        finally:
            await block.close()
