"""What every source of metrics must do. Subclass MetricsConformance and give it a fixture `stage`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from canary.errors import MeasurementFailed, SelectorError
from canary.plan.model import Arms, Signal
from canary.ports import Arm, Increment, Metrics, Scrape

ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
SIGNALS = {
    "http_errors": Signal(counter="http_requests_total", bad={"status": "5.."}),
    "latency": Signal(histogram="publish_latency_ms", unit="ms"),
    "requests": Signal(counter="http_requests_total"),
    "newest": Signal(gauge="newest_request_ms"),
    "nowhere": Signal(counter="nobody_exposes_this_total"),
}
EDGES_MS = (5.0, 20.0, 100.0)


class MetricsStage(Protocol):
    """An application whose requests are measured: SIGNALS of both ARMS but for `nowhere`, edges at EDGES_MS."""

    def open(self) -> Metrics:
        """A source that reads this application."""

    def serve(self, arm: Arm, status: int, times: int, ms: float) -> None:
        """That many requests are answered with the status, each after so many milliseconds.

        The gauge shows the milliseconds of the arm's newest one.
        """

    async def measured(self, metrics: Metrics) -> float:
        """Wait until all that was served is measured; the unix time from which on a read shows it."""

    async def breaks(self) -> None:
        """From now on nothing can be measured."""


def total(scrapes: Iterable[Scrape], signal: str, arm: Arm) -> Increment:
    """The sum of an arm's increments."""
    parts = [s.signals[signal][arm] for s in scrapes if arm in s.signals.get(signal, {})]
    edges = sorted({edge for part in parts for edge in part.buckets})
    return Increment(
        sum(part.total for part in parts),
        sum(part.bad for part in parts),
        {edge: sum(part.buckets.get(edge, 0.0) for part in parts) for edge in edges},
        next((part.last for part in reversed(parts) if part.last is not None), None),
    )


class MetricsConformance:
    """Increments that neither lose nor invent a request, and failures that are no news."""

    async def test_what_happened_is_what_is_read(self, stage: MetricsStage) -> None:
        """Increments per arm sum to the requests served in the window, bad ones and times included."""
        async with _opened(stage) as metrics:
            since = await _begun(stage, metrics)
            stage.serve("canary", 200, 7, ms=3)
            stage.serve("canary", 503, 2, ms=50)
            stage.serve("baseline", 200, 40, ms=10)
            scrapes = await _read(metrics, since, await stage.measured(metrics))
            assert total(scrapes, "http_errors", "canary") == Increment(9, 2)
            assert total(scrapes, "http_errors", "baseline") == Increment(40, 0)
            assert total(scrapes, "latency", "canary") == Increment(9, 0, {0.005: 7, 0.02: 7, 0.1: 9})
            assert total(scrapes, "latency", "baseline") == Increment(40, 0, {0.005: 0, 0.02: 40, 0.1: 40})
            assert total(scrapes, "requests", "canary") == Increment(9)
            assert total(scrapes, "newest", "canary") == Increment(0, last=50)
            assert total(scrapes, "newest", "baseline") == Increment(0, last=10)

    async def test_a_signal_that_nobody_exposes_disturbs_no_other(self, stage: MetricsStage) -> None:
        """It is absent from every scrape, and the others are read all the same."""
        async with _opened(stage) as metrics:
            since = await _begun(stage, metrics)
            stage.serve("canary", 200, 4, ms=3)
            scrapes = await _read(metrics, since, await stage.measured(metrics))
            assert total(scrapes, "http_errors", "canary").total == 4
            assert not any(scrape.signals.get("nowhere") for scrape in scrapes)

    async def test_windows_join(self, stage: MetricsStage) -> None:
        """Read in two windows or in one, and again, the same increments come at the same rising times."""
        async with _opened(stage) as metrics:
            first = await _begun(stage, metrics)
            stage.serve("canary", 200, 3, ms=3)
            middle = await stage.measured(metrics)
            stage.serve("canary", 200, 4, ms=3)
            last = await stage.measured(metrics)
            halves = [*await _read(metrics, first, middle), *await _read(metrics, middle, last)]
            assert halves == [*await _read(metrics, first, last)] == [*await _read(metrics, first, last)]
            times = [scrape.at for scrape in halves]
            assert times == sorted(set(times))
            assert all(first < at <= last for at in times)
            assert await _read(metrics, last, last) == []

    async def test_an_arm_without_series_is_absent(self, stage: MetricsStage) -> None:
        """Nothing measured is not zero: an arm that matches nothing is not there at all."""
        async with _opened(stage) as metrics:
            since = await _begun(stage, metrics)
            stage.serve("baseline", 200, 5, ms=3)
            until = await stage.measured(metrics)
            nobody = Arms(canary={"version": "9.9.9"}, baseline=ARMS.baseline)
            scrapes = await metrics.read(SIGNALS, nobody, since, until)
            assert total(scrapes, "http_errors", "baseline").total == 5
            assert not any("canary" in arms for scrape in scrapes for arms in scrape.signals.values())

    async def test_arms_must_differ(self, stage: MetricsStage) -> None:
        """A selector that matches both arms is an error, never a comparison of a version with itself."""
        async with _opened(stage) as metrics:
            since = await _begun(stage, metrics)
            stage.serve("canary", 200, 1, ms=3)
            until = await stage.measured(metrics)
            with pytest.raises(SelectorError):
                await metrics.read(SIGNALS, Arms(canary=ARMS.canary, baseline=ARMS.canary), since, until)

    async def test_broken_is_no_news(self, stage: MetricsStage) -> None:
        """What cannot be measured raises MeasurementFailed; it never reads as "nothing bad happened"."""
        async with _opened(stage) as metrics:
            await metrics.check_connection()
            since = await _begun(stage, metrics)
            await stage.breaks()
            with pytest.raises(MeasurementFailed):
                await _read(metrics, since, since + 1)
            with pytest.raises(MeasurementFailed):
                await metrics.check_connection()


@asynccontextmanager
async def _opened(stage: MetricsStage) -> AsyncIterator[Metrics]:
    """A source of the stage; closed twice, since closing is idempotent too."""
    metrics = stage.open()
    try:
        yield metrics
    finally:
        await metrics.close()
        await metrics.close()


async def _begun(stage: MetricsStage, metrics: Metrics) -> float:
    """Both arms have served before, so that what follows has a base."""
    stage.serve("canary", 200, 1, ms=3)
    stage.serve("baseline", 200, 1, ms=3)
    return await stage.measured(metrics)


async def _read(metrics: Metrics, since: float, until: float) -> Sequence[Scrape]:
    return list(await metrics.read(SIGNALS, ARMS, since, until))
