"""docflow's metrics. Every sample carries the label `version`, and no other process-wide one.

Series are made with 0 at the start wherever their labels are known: an error that is the first of its series
would otherwise show no increase.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from canary.sandbox.wire import COMPONENTS

API_EDGES_SECONDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
    *(0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 2.5),
)
PUBLISH_EDGES_MS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)
PUBLISH_ROUTE = "/api/publish"


class Meters:
    """What one docflow process counts. Publishing is measured in milliseconds, other API routes in seconds."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._version = version
        self._publish = self._histogram("publish_latency_ms", "Publishing one document", PUBLISH_EDGES_MS)
        self._api = self._histogram(
            "api_request_duration_seconds", "API routes but publish", API_EDGES_SECONDS, "route"
        )
        self._requests = self._counter("http_requests_total", "Requests answered", "route", "method", "status")
        self._views = self._counter("page_views_total", "View beacons", "component")
        self._errors = self._counter("js_errors_total", "Error beacons", "component")
        # A gauge only because the client library would append _total to a counter's name.
        self._revenue = Gauge("revenue_total_eur", "Revenue of documents", ["version"], registry=self.registry).labels(
            version
        )
        self._ingested = self._plain("doc_ingested_total", "Documents published")
        self.classifications = self._plain("ai_classification_requests_total", "Queues filtered by AI type")
        self.forecasts = self._plain("forecast_calculations_total", "Forecasts calculated")
        self.schedules = self._plain("export_schedules_total", "Exports scheduled")
        for component in COMPONENTS:
            self._views.labels(component, version)
            self._errors.labels(component, version)

    def expect(self, route: str, method: str, status: int) -> None:
        """Show a route with 0 from the start: its usual status, and 500."""
        for code in (status, 500):
            self._requests.labels(route, method, str(code), self._version)
        if route == PUBLISH_ROUTE:
            self._publish.labels(self._version)
        elif route.startswith("/api/"):
            self._api.labels(route, self._version)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status), self._version).inc()
        if route == PUBLISH_ROUTE:
            self._publish.labels(self._version).observe(seconds * 1000)
        elif route.startswith("/api/"):
            self._api.labels(route, self._version).observe(seconds)

    def published(self, revenue_eur: float) -> None:
        self._ingested.inc()
        self._revenue.inc(revenue_eur)

    def viewed(self, component: str) -> None:
        self._views.labels(component, self._version).inc()

    def threw(self, component: str) -> None:
        self._errors.labels(component, self._version).inc()

    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, [*labels, "version"], registry=self.registry)

    def _plain(self, name: str, about: str) -> Counter:
        return self._counter(name, about).labels(self._version)

    def _histogram(self, name: str, about: str, edges: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, about, [*labels, "version"], buckets=edges, registry=self.registry)
