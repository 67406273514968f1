"""GrafanaServer reads raw samples, by either way, as Prometheus itself would give them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.grafana import GrafanaServer
from canary.cli import measured as backtest
from canary.errors import CredentialError, MeasurementFailed
from canary.plan.load import load_plan
from canary.plan.model import Arms, Signal
from canary.testing.fakes import FakeClock
from canary.testing.grafana import Grafana
from canary.testing.provider import serving

PLANS = Path(__file__).parents[3] / "plans"
ERRORS = {"errors": Signal(counter="requests_total", bad={"status": "5.."})}
ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
NOW = FakeClock().now()
EMPTY: dict[str, Any] = {"results": {"Q0": {}}}


class Odd(Grafana):
    """Whatever it is asked for, it says the same."""

    def __init__(self, said: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self.said = said

    async def _query(self, request: web.Request) -> web.Response:
        return web.json_response(self.said)


@pytest.mark.parametrize("reads", ["proxy", "query"])
async def test_raw_samples_by_either_way(grafana: Grafana, opened: Any, reads: str) -> None:
    """Counters, births of series and odd values come as from Prometheus itself."""
    for at, value in ((1.001, 5.0), (2.0, float("nan")), (3.0, float("inf")), (4.07, 9.0)):
        grafana.samples.add("requests_total", {"version": "2.1.0", "status": "200"}, NOW + at, value)
    grafana.samples.add("requests_total", {"version": "2.1.0", "status": "500"}, NOW + 4.07, 2.0)
    grafana.samples.add("requests_total", {"version": "7.7.7", "status": "200"}, NOW + 4.07, 70.0)
    block = opened(reads=reads)
    (first, last) = await block.read(ERRORS, ARMS, NOW, NOW + 5)
    assert first.signals["errors"]["canary"].total == 0
    assert (last.signals["errors"]["canary"].total, last.signals["errors"]["canary"].bad) == (6.0, 2.0)
    assert "baseline" not in last.signals["errors"]
    assert len(await block.past(ERRORS, {"version": "7.7.7"}, NOW, NOW + 5)) == 1


@pytest.mark.parametrize("reads", ["proxy", "query"])
async def test_a_warning_is_no_answer(grafana: Grafana, opened: Any, reads: str) -> None:
    """An answer that may lack a part could hide errors: it is not measured, with series and without."""
    grafana.samples.warnings.append("remote storage timed out")
    block = opened(reads=reads)
    for _ in range(2):
        with pytest.raises(MeasurementFailed, match="remote storage timed out"):
            await block.read(ERRORS, ARMS, NOW, NOW + 5)
        grafana.samples.add("requests_total", {"version": "2.1.0"}, NOW + 1, 5.0)


@pytest.mark.parametrize("multi_status", [True, False])
async def test_one_query_that_failed_fails_them_all(grafana: Grafana, opened: Any, multi_status: bool) -> None:
    """207 with the others' frames, or 400: what is missing could hold the errors, and Grafana's words are told."""
    grafana.multi_status = multi_status
    grafana.samples.add("requests_total", {"version": "2.1.0"}, NOW + 1, 5.0)
    grafana.samples.broken.add("latency_seconds_bucket")
    block = opened(reads="query")
    with pytest.raises(MeasurementFailed, match="expanding series of latency_seconds_bucket: the store is broken"):
        await block.read({**ERRORS, "latency": Signal(histogram="latency_seconds")}, ARMS, NOW, NOW + 5)


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"results": None},
        {"results": {}},
        EMPTY,
        {"results": {"Q0": {"frames": [{}]}}},
        {"results": {"Q0": {"frames": [{"schema": {"fields": [{"type": "time"}]}, "data": {"values": []}}]}}},
        {"results": {"Q0": {"frames": [{"schema": {"fields": [{"type": "string"}]}, "data": {"values": [[]]}}]}}},
        {
            "results": {
                "Q0": {
                    "frames": [
                        {
                            "schema": {"fields": [{"type": "time"}, {"type": "number", "labels": {}}]},
                            "data": {"values": [[1], [2]]},
                        }
                    ]
                }
            }
        },
    ],
)
async def test_frames_of_another_shape_are_no_news(said: Any) -> None:
    """JSON that is no query result is never read as "nothing happened"; an answer without a frame is an empty one."""
    odd = Odd(said, tokens={"t": "Viewer"})
    async with serving(odd):
        fields = {"url": odd.url, "token": "t", "datasource": "prom", "reads": "query"}
        block = GrafanaServer.from_fields("grafana/x", fields)
        if said == EMPTY:
            assert await block.read(ERRORS, ARMS, NOW, NOW + 15) == []
        else:
            with pytest.raises(MeasurementFailed):
                await block.read(ERRORS, ARMS, NOW, NOW + 15)
        await block.close()


@pytest.mark.parametrize("reads", ["proxy", "query"])
async def test_what_is_wrong_names_its_field(opened: Any, tokens: dict[str, str], reads: str) -> None:
    """A token that was never given out, a data source that is not there; neither shows the token."""
    for field, value in (("token", "glsa_another"), ("datasource", "pruned")):
        block = opened(reads=reads, **{field: value})
        with pytest.raises(CredentialError) as error:
            await block.check_connection()
        assert error.value.field == field
        assert "glsa" not in str(error.value)
    right = opened(reads=reads, token=tokens["Viewer"])
    await right.check_connection()


async def test_a_past_to_backtest_on(grafana: Grafana, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`canary plan backtest --last` reads the hours from the Grafana that the plan names, pod by pod."""
    now = time.time()
    for ago in range(600, 0, -15):
        for status, steps in (("200", 29.0), ("503", 1.0)):
            labels = {"version": "1.0.0", "instance": "a:1", "status": status}
            grafana.samples.add("http_requests_total", labels, now - ago, steps * (600 - ago) / 15)

    async def load(ref: str) -> Any:
        return opened(reads="query").fields()

    monkeypatch.setattr(backtest, "load_fields", load)
    plan = load_plan(PLANS / "phase1.yaml").plan.model_copy(update={"metrics": "grafana/docflow"})
    history = await backtest.measured(plan, "10m", "instance")
    assert [*history.pods] == ["a:1"]
