"""Metrics of one process which all carry the label `version`, the process's own CPU and memory included."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector


class Versioned:
    """Makes metrics. Without other labels they are ready to count; with some, `version` is the last of them."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.version = version
        self._registry = CollectorRegistry()
        self._registry.register(_Process(version))

    def counter(self, name: str, about: str, *labels: str) -> Counter:
        made = Counter(name, about, [*labels, "version"], registry=self._registry)
        return made if labels else made.labels(self.version)

    def gauge(self, name: str, about: str, *labels: str) -> Gauge:
        made = Gauge(name, about, [*labels, "version"], registry=self._registry)
        return made if labels else made.labels(self.version)

    def histogram(self, name: str, about: str, edges: tuple[float, ...], *labels: str) -> Histogram:
        made = Histogram(name, about, [*labels, "version"], buckets=edges, registry=self._registry)
        return made if labels else made.labels(self.version)

    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self._registry)


class _Process(Collector):
    """The standard process metrics; the client library's own collector knows no labels."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._standard = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        for metric in self._standard.collect():
            metric.samples = [each._replace(labels={"version": self._version}) for each in metric.samples]
            yield metric
