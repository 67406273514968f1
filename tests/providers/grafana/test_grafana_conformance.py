"""GrafanaServer passes the suite of every source of metrics, by either way of reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from canary.blocks.grafana import GrafanaServer
from canary.ports import Arm, Metrics
from canary.testing.fakes import FakeClock
from canary.testing.grafana import Grafana
from canary.testing.metrics import EDGES_MS, MetricsConformance

VERSIONS: dict[Arm, str] = {"canary": "2.1.0", "baseline": "2.0.9"}
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Stage:
    """An application whose counters the data source behind the Grafana scrapes each time that it is measured."""

    grafana: Grafana
    reader: Callable[[], GrafanaServer]
    clock: FakeClock = field(default_factory=FakeClock)
    counters: dict[Key, float] = field(default_factory=dict)

    def open(self) -> Metrics:
        return self.reader()

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        version = {"version": VERSIONS[arm], "instance": f"{arm}:80"}
        self._count("http_requests_total", {**version, "status": str(status)}, times)
        for edge in (*EDGES_MS, float("inf")):
            le = f"{edge:g}".replace("inf", "+Inf")
            self._count("publish_latency_ms_bucket", {**version, "le": le}, times if ms <= edge else 0)
        self._count("publish_latency_ms_count", version, times)
        self.counters["newest_request_ms", tuple(sorted(version.items()))] = ms

    def _count(self, name: str, labels: dict[str, str], times: float) -> None:
        key = (name, tuple(sorted(labels.items())))
        self.counters[key] = self.counters.get(key, 0.0) + times

    async def measured(self, metrics: Metrics) -> float:
        await self.clock.sleep(1)
        for (name, labels), value in self.counters.items():
            self.grafana.samples.add(name, dict(labels), self.clock.now(), value)
        return self.clock.now()

    async def breaks(self) -> None:
        self.grafana.samples.broken |= {"http_requests_total"}
        self.grafana.knobs.fails = 100


@pytest.fixture
def stage(grafana: Grafana, opened: Callable[..., GrafanaServer], reads: str) -> Stage:
    """A stage that reads as its class says."""
    return Stage(grafana, lambda: opened(reads=reads))


class TestByProxy(MetricsConformance):
    """Grafana hands the query on."""

    @pytest.fixture
    def reads(self) -> Literal["proxy"]:
        return "proxy"


class TestByQuery(MetricsConformance):
    """Grafana asks, and answers in frames."""

    @pytest.fixture
    def reads(self) -> Literal["query"]:
        return "query"
