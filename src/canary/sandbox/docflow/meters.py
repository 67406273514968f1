"""docflow's metrics. Every sample carries the label `version`; further labels are named below.

| metric | labels | meaning |
|---|---|---|
| http_requests_total | route, method, status | requests answered |
| api_request_duration_seconds | route | histogram: API routes but publish |
| publish_latency_ms | | histogram, in milliseconds: publishing one document |
| doc_ingested_total | | documents published |
| revenue_total_eur | | euros that they brought |
| page_views_total | component | view beacons of the pages' scripts |
| js_errors_total | component | error beacons of the pages' scripts |
| feature_uses_total | component, use | use beacons: ai_filter, forecast_toggle, export_schedule |
| ai_classification_requests_total | | queues filtered by AI type, the failed ones included |
| ai_classification_failures_total | | of these, answered 500 |
| ai_confidence | | histogram, 0–1: how sure the AI was of a published document's type |
| documents_classified_total | by | published documents, by who found their type: ai (when sure) or manual |
| forecast_calculations_total | | forecasts asked for, the failed ones included |
| forecast_calculation_errors_total | | of these, answered 500 |
| forecast_error_ratio | | histogram: deviation of a forecast from the actual value, as a share of that |
| export_schedules_total | | schedules asked for, the failed ones included |
| export_scheduling_failures_total | | of these, answered 500 |
| exports_total | kind | exports: scheduled (a schedule was made) or manual (taken at once) |
| admins_seen | | gauge: distinct admins of whom any request came |
| admins_seen_by_feature | feature | gauge: distinct admins who called the feature's API, or `any` of them |
| queue_load_seconds | | histogram: the queue's API with AI data, the failed calls included |
| analytics_render_seconds | | histogram: from the toggle to the forecast's bars, as the page's script measures it |
| export_api_seconds | | histogram: the scheduling API, the failed calls included |
| websocket_messages_total | direction | messages to (sent) subscribers of /ws |
| process_cpu_seconds_total | | the server's own CPU time; its other standard process_* metrics are there too |
| process_resident_memory_bytes | | gauge: the server's memory |

Series are made with 0 at the start wherever their labels are known: an error that is the first of its series
would otherwise show no increase.
"""

from __future__ import annotations

from canary.sandbox.docflow.admins import Admins
from canary.sandbox.docflow.featuremeters import API_EDGES_SECONDS, FeatureMeters
from canary.sandbox.docflow.versioned import Versioned
from canary.sandbox.wire import COMPONENTS

PUBLISH_EDGES_MS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)
PUBLISH_ROUTE = "/api/publish"


class Meters:
    """What one docflow process counts. Publishing is measured in milliseconds, other API routes in seconds."""

    def __init__(self, version: str) -> None:
        self._metrics = metrics = Versioned(version)
        self._version = version
        self._publish = metrics.histogram("publish_latency_ms", "Publishing one document", PUBLISH_EDGES_MS)
        self._api = metrics.histogram(
            "api_request_duration_seconds", "API routes but publish", API_EDGES_SECONDS, "route"
        )
        self._requests = metrics.counter("http_requests_total", "Requests answered", "route", "method", "status")
        self._views = metrics.counter("page_views_total", "View beacons", "component")
        self._errors = metrics.counter("js_errors_total", "Error beacons", "component")
        # A gauge only because the client library would append _total to a counter's name.
        self._revenue = metrics.gauge("revenue_total_eur", "Revenue of documents")
        self._ingested = metrics.counter("doc_ingested_total", "Documents published")
        sockets = metrics.counter("websocket_messages_total", "Messages over /ws", "direction")
        self.pushed = sockets.labels("sent", version)
        self.features = FeatureMeters(metrics)
        self.admins = Admins(metrics)
        for component in COMPONENTS:
            self._views.labels(component, version)
            self._errors.labels(component, version)

    def expect(self, route: str, method: str, status: int) -> None:
        """Show a route with 0 from the start: its usual status, and 500."""
        for code in (status, 500):
            self._requests.labels(route, method, str(code), self._version)
        if route.startswith("/api/") and route != PUBLISH_ROUTE:
            self._api.labels(route, self._version)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status), self._version).inc()
        if route == PUBLISH_ROUTE:
            self._publish.observe(seconds * 1000)
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
        return self._metrics.text()
