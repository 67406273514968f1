"""What is counted of the three features. The table of all metrics is in `meters`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Histogram

from canary.sandbox.docflow.versioned import Versioned
from canary.sandbox.wire import AI_QUEUE, FEATURES, FORECAST, SCHEDULE, Feature

API_EDGES_SECONDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
    *(0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 2.5),
)
CONFIDENCE_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
ERROR_RATIO_EDGES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Calls:
    """A feature's API calls: the failed ones are among all."""

    all: Counter
    failed: Counter


class FeatureMeters:
    """Times are seconds, confidence a share 0–1, a forecast's error a share of the actual value."""

    def __init__(self, metrics: Versioned) -> None:
        self._version = metrics.version
        self._calls = _calls(metrics)
        self._seconds = _timings(metrics)
        self._uses = metrics.counter("feature_uses_total", "Use beacons", "component", "use")
        self._confidence = metrics.histogram("ai_confidence", "Confidence of the AI in a type", CONFIDENCE_EDGES)
        self._error = metrics.histogram("forecast_error_ratio", "Deviation of forecasts", ERROR_RATIO_EDGES)
        self._classified = metrics.counter("documents_classified_total", "Documents classified", "by")
        self._exports = metrics.counter("exports_total", "Exports", "kind")
        self._expect()

    def called(self, feature: Feature, seconds: float, *, failed: bool) -> None:
        """One call of the feature's API, and how long it took."""
        calls = self._calls[feature]
        calls.all.inc()
        if failed:
            calls.failed.inc()
        # What a forecast takes is measured where it is seen: by the page's script.
        if feature is not FORECAST:
            self._seconds[feature].observe(seconds)

    def used(self, feature: Feature, render_seconds: float | None) -> None:
        """One use as the page's script saw it, with the time to the result on the screen, where it measures that."""
        self._uses.labels(feature.component, feature.use, self._version).inc()
        if render_seconds is not None:
            self._seconds[feature].observe(render_seconds)

    def classified(self, by: Literal["ai", "manual"], confidence: float | None) -> None:
        """One document's type was found; `confidence` is None where no AI looked at it."""
        self._classified.labels(by, self._version).inc()
        if confidence is not None:
            self._confidence.observe(confidence)

    def forecast(self, error_ratio: float) -> None:
        self._error.observe(error_ratio)

    def exported(self, kind: Literal["scheduled", "manual"]) -> None:
        self._exports.labels(kind, self._version).inc()

    def _expect(self) -> None:
        for feature in FEATURES:
            self._uses.labels(feature.component, feature.use, self._version)
        for by in ("ai", "manual"):
            self._classified.labels(by, self._version)
        for kind in ("scheduled", "manual"):
            self._exports.labels(kind, self._version)


def _calls(metrics: Versioned) -> dict[Feature, Calls]:
    return {
        AI_QUEUE: Calls(
            metrics.counter("ai_classification_requests_total", "Queues filtered by AI type"),
            metrics.counter("ai_classification_failures_total", "Of these, failed"),
        ),
        FORECAST: Calls(
            metrics.counter("forecast_calculations_total", "Forecasts calculated"),
            metrics.counter("forecast_calculation_errors_total", "Of these, failed"),
        ),
        SCHEDULE: Calls(
            metrics.counter("export_schedules_total", "Exports scheduled"),
            metrics.counter("export_scheduling_failures_total", "Of these, failed"),
        ),
    }


def _timings(metrics: Versioned) -> dict[Feature, Histogram]:
    return {
        AI_QUEUE: metrics.histogram("queue_load_seconds", "The queue with AI data", API_EDGES_SECONDS),
        FORECAST: metrics.histogram("analytics_render_seconds", "Forecast on the screen", API_EDGES_SECONDS),
        SCHEDULE: metrics.histogram("export_api_seconds", "Scheduling an export", API_EDGES_SECONDS),
    }
