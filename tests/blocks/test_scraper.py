"""The scraper beyond the suite: idle colours, broken instances, births, memory, speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from canary.blocks import exposition
from canary.blocks.history import KEPT_SECONDS, History
from canary.blocks.scraper import MetricsScraper
from canary.errors import CredentialError, MeasurementFailed
from canary.plan.model import Arms, Signal
from canary.testing.fakes import FakeClock
from canary.testing.metrics import total

ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
ERRORS = {"errors": Signal(counter="requests_total", bad={"status": "5.."})}


def _line(version: str, status: int, value: float) -> str:
    return f'requests_total{{version="{version}",status="{status}"}} {value}\n'


class Instance:
    """An instance that answers `text`, or whatever `answers` makes."""

    def __init__(self) -> None:
        self.text = "# TYPE requests_total counter\n"
        self.answers: Callable[[], web.Response] | None = None
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        return self.answers() if self.answers else web.Response(text=self.text)


def _scraper(clock: FakeClock, *urls: str, **fields: Any) -> MetricsScraper:
    return MetricsScraper.from_fields("scraper/docflow", {"urls": list(urls), **fields}, clock)


async def _tick(scraper: MetricsScraper, clock: FakeClock) -> Any:
    await clock.sleep(1)
    return await scraper.read(ERRORS, ARMS, clock.now() - 1, clock.now())


async def test_an_idle_colour_is_absent(serve: Any, closed_port: int) -> None:
    """An instance that refuses the connection does not disturb the reading of the other."""
    stable, clock = Instance(), FakeClock()
    scraper = _scraper(clock, await serve(stable.handle), f"http://127.0.0.1:{closed_port}")
    for value in (10, 17):
        stable.text = _line("2.0.9", 200, value)
        scrapes = await _tick(scraper, clock)
    assert total(scrapes, "errors", "baseline").total == 7
    assert "canary" not in scrapes[0].signals["errors"]
    await scraper.close()


async def test_all_instances_away(closed_port: int) -> None:
    """When every instance refuses, nothing was measured, and the error names them."""
    scraper = _scraper(FakeClock(), f"http://127.0.0.1:{closed_port}")
    with pytest.raises(MeasurementFailed, match=f"every instance refuses.*{closed_port}"):
        await scraper.read(ERRORS, ARMS, 0, 1)
    with pytest.raises(MeasurementFailed):
        await scraper.check_connection()


@pytest.mark.parametrize(
    ("status", "text"), [(503, "down"), (200, "<html>"), (200, ""), (200, 'requests_total{a="b 1'), (200, "{}")]
)
async def test_a_broken_instance_is_named(serve: Any, status: int, text: str) -> None:
    """One instance that answers anything but metrics fails the whole reading, by its address."""
    good, bad = Instance(), Instance()
    bad.answers = lambda: web.Response(status=status, text=text)
    url, clock = await serve(bad.handle), FakeClock()
    scraper = _scraper(clock, await serve(good.handle), url)
    with pytest.raises(MeasurementFailed) as error:
        await _tick(scraper, clock)
    assert url in str(error.value)
    await scraper.close()


async def test_a_refused_token(serve: Any) -> None:
    """check_connection names the field; a reading is a failed measurement, without the token."""
    instance, clock = Instance(), FakeClock()
    instance.answers = lambda: web.Response(status=401, text="no, sekrit")
    scraper = _scraper(clock, await serve(instance.handle), bearer="sekrit")
    with pytest.raises(CredentialError, match="field bearer"):
        await scraper.check_connection()
    with pytest.raises(MeasurementFailed) as error:
        await _tick(scraper, clock)
    assert instance.headers["Authorization"] == "Bearer sekrit"
    assert "sekrit" not in str(error.value)
    await scraper.close()


async def test_the_first_request_of_a_known_instance_counts(serve: Any) -> None:
    """Series that are born between two scrapes began at 0, even when they are the first of their signal."""
    instance, clock = Instance(), FakeClock()
    scraper = _scraper(clock, await serve(instance.handle))
    assert await _tick(scraper, clock) == []
    instance.text = _line("2.1.0", 500, 3) + _line("2.1.0", 200, 1)
    scrapes = await _tick(scraper, clock)
    assert (total(scrapes, "errors", "canary").total, total(scrapes, "errors", "canary").bad) == (4, 3)
    await scraper.close()


async def test_a_metric_asked_for_later_has_no_past(serve: Any) -> None:
    """A name that was not looked for before adds nothing at first: its value may be as old as the process."""
    instance, clock = Instance(), FakeClock()
    instance.text = _line("2.1.0", 200, 500) + 'views_total{version="2.1.0"} 900\n'
    scraper = _scraper(clock, await serve(instance.handle))
    await _tick(scraper, clock)
    views = {"views": Signal(counter="views_total", bad={"kind": "crash"})}
    await clock.sleep(1)
    scrapes = await scraper.read(views, ARMS, clock.now() - 1, clock.now())
    assert total(scrapes, "views", "canary").total == 0
    await scraper.close()


async def test_a_restart_counts_from_zero(serve: Any) -> None:
    """A counter that falls belongs to a new process, whose whole value is new."""
    instance, clock = Instance(), FakeClock()
    scraper = _scraper(clock, await serve(instance.handle))
    for value in (100, 7):
        instance.text = _line("2.1.0", 200, value)
        scrapes = await _tick(scraper, clock)
    assert total(scrapes, "errors", "canary").total == 7
    await scraper.close()


async def test_two_instances_of_one_version_are_summed(serve: Any) -> None:
    """Equal series of two instances stay apart, so that their increments add up."""
    one, two, clock = Instance(), Instance(), FakeClock()
    scraper = _scraper(clock, await serve(one.handle), await serve(two.handle))
    for first, second in ((10, 1000), (13, 1004)):
        one.text, two.text = _line("2.1.0", 200, first), _line("2.1.0", 200, second)
        scrapes = await _tick(scraper, clock)
    assert len(scrapes) == 1
    assert total(scrapes, "errors", "canary").total == 7
    await scraper.close()


async def test_a_past_window_does_not_date_the_scrape_back(serve: Any) -> None:
    """Asked about the past, the scrape of now is not shown as if it were old."""
    instance, clock = Instance(), FakeClock()
    scraper = _scraper(clock, await serve(instance.handle))
    instance.text = _line("2.1.0", 200, 1)
    await _tick(scraper, clock)
    await clock.sleep(60)
    instance.text = _line("2.1.0", 200, 5)
    past = clock.now() - 30
    assert await scraper.read(ERRORS, ARMS, past - 10, past) == []
    scrapes = await scraper.read(ERRORS, ARMS, past, clock.now())
    assert [scrape.at for scrape in scrapes] == [clock.now()]
    await scraper.close()


def test_memory_is_bounded() -> None:
    """Samples older than five minutes go, but for the one that is the base; a series that ended goes whole."""
    history = History()
    history.add("host:1", 0.0, {"gone_total"}, [("gone_total", {}, 1.0)])
    for at in range(1000):
        history.add("host:1", float(at), {"a_total"}, [("a_total", {}, float(at))])
    (series,) = history.series({"a_total", "gone_total"}, since=float("-inf"))
    assert series.samples[0][0] == 999 - KEPT_SECONDS
    assert series.labels == {"instance": "host:1"}


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(0, 30))
def test_a_window_holds_its_base(steps: list[int], since: int) -> None:
    """For any window the samples given begin with the last one at or before its start."""
    history, value = History(), 0
    for at, step in enumerate(steps):
        value += step
        history.add("host:1", float(at), {"a_total"}, [("a_total", {}, float(value))])
    (series,) = history.series({"a_total"}, float(since))
    assert [at for at, _ in series.samples] == [float(at) for at in range(min(since, len(steps) - 1), len(steps))]


def test_an_instance_label_of_the_metric_is_kept() -> None:
    """As in Prometheus, the target's instance wins and the metric's own is renamed."""
    history = History()
    history.add("host:1", 0.0, {"a_total"}, [("a_total", {"instance": "x"}, 1.0)])
    (series,) = history.series({"a_total"}, 0.0)
    assert series.labels == {"instance": "host:1", "exported_instance": "x"}


def test_labels_with_everything_in_them() -> None:
    """Quotes, commas, braces and line breaks in label values survive, and other metrics are not parsed."""
    text = '# HELP a_total x\na_total{p="q\\"},\\n\\\\"} 3\nb_total{broken 1\n'
    ((name, labels, value),) = exposition.samples(text, {"a_total"})
    assert (name, labels, value) == ("a_total", {"p": 'q"},\n\\'}, 3.0)


def test_reading_is_fast_enough() -> None:
    """A page of 6,000 samples, 300 of them wanted, takes well under the 50 ms that a tick can spare."""
    lines = [f'm{i}_total{{version="1",route="/r{j}"}} {j}' for i in range(20) for j in range(300)]
    text = "\n".join(lines)
    begun = time.process_time()
    assert len(exposition.samples(text, {"m7_total"})) == 300
    assert time.process_time() - begun < 0.05


async def test_a_gauge_that_appears_later_did_not_begin_at_0(serve: Any) -> None:
    """Only a counter is born at 0: a memory that was never 0 must not be shown as 0."""
    app, clock = Instance(), FakeClock()
    scraper, memory = _scraper(clock, await serve(app.handle)), {"memory": Signal(gauge="memory_bytes")}
    began = clock.now()
    for text in ("# TYPE memory_bytes gauge\n", 'memory_bytes{version="2.1.0"} 70\n'):
        app.text = text
        await clock.sleep(1)
        scrapes = await scraper.read(memory, ARMS, began, clock.now())
    await scraper.close()
    assert [(s.at - began, s.signals["memory"]["canary"].last) for s in scrapes] == [(2.0, 70.0)]
