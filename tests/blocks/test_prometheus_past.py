"""A service's past from Prometheus: hour by hour, pod by pod, and nothing lost where the hours meet."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.promapi import LOOKBACK_SECONDS
from canary.blocks.prometheus import PrometheusServer
from canary.cli.measured import measured, past_of
from canary.errors import BadUsage, MeasurementFailed, ProviderUnavailable
from canary.plan.load import load_plan
from canary.plan.model import Arms, Plan
from canary.testing.fakes import FakeClock

PLANS = Path(__file__).parents[2] / "plans"
START = 1_772_323_200.0
HOURS, EVERY = 3, 15.0
MEASURES = ("http_errors", "api_latency")


@dataclass
class Prometheus:
    """Counters that rise steadily, 2 requests a second a pod of which every 30th fails, cut to the window asked for."""

    selectors: set[str] = field(default_factory=set)
    windows: list[tuple[float, float]] = field(default_factory=list)
    status: int = 200
    pod: str = "a:1"

    async def handle(self, request: web.Request) -> web.Response:
        asked = {str(key): str(value) for key, value in (await request.post()).items()}
        match = re.fullmatch(r"(\w+)(\{.*\})\[(\d+)ms\]", asked["query"])
        assert match
        until, seconds = float(asked["time"]), int(match[3]) / 1000
        self.selectors.add(match[2])
        self.windows.append((until - seconds, until))
        found = [one for pod in (self.pod, "b:1") for one in self.series(match[1], pod, until - seconds, until)]
        return web.json_response({"status": "success", "data": {"result": found}}, status=self.status)

    def series(self, name: str, pod: str, since: float, until: float) -> list[dict[str, Any]]:
        first, last = int((since - START) // EVERY) + 1, int((until - START) // EVERY)
        ticks = [tick for tick in range(max(first, 0), last + 1) if since < START + EVERY * tick <= until]
        rising: dict[str, list[tuple[dict[str, str], float]]] = {
            "http_requests_total": [({"status": "200"}, 29.0), ({"status": "503"}, 1.0)],
            "api_request_duration_seconds_bucket": [
                ({"le": "0.1"}, 20.0),
                ({"le": "0.5"}, 30.0),
                ({"le": "+Inf"}, 30.0),
            ],
            "api_request_duration_seconds_count": [({}, 30.0)],
        }
        return [
            {
                "metric": {"__name__": name, "instance": pod, "version": "1.0.0", **labels},
                "values": [[START + EVERY * tick, str(step * tick)] for tick in ticks],
            }
            for labels, step in rising.get(name, [])
            if ticks
        ]


@pytest.fixture
async def server(serve: Any) -> Any:
    """A Prometheus, with its address in `url`."""
    fake: Any = Prometheus()
    fake.url = await serve(fake.handle)
    return fake


@pytest.fixture
def plan() -> Plan:
    return load_plan(PLANS / "phase1.yaml").plan


def block(server: Any) -> PrometheusServer:
    return PrometheusServer.from_fields("prometheus/docflow", {"url": server.url}, FakeClock())


async def test_what_was_counted_is_what_is_read(server: Any, plan: Plan) -> None:
    """Every request of three hours, of each pod alone; with the bad ones, and each edge."""
    prometheus = block(server)
    history = await past_of(prometheus, plan, "instance", START, START + HOURS * 3600)
    await prometheus.close()
    assert history.pods == ("a:1", "b:1")
    assert history.noted.restarts == history.noted.silences == history.noted.broken == 0
    errors, latency = (history.measures[name] for name in MEASURES)
    assert (errors.values[:, :, 0] == 30).all()
    assert (errors.values[:, :, 1] == 1).all()
    assert latency.edges == (0.1, 0.5)
    assert (latency.values[:, :, 2:] == [20, 30]).all()
    assert history.blocks == (HOURS * 3600 - EVERY - 45) / EVERY


async def test_an_hour_is_asked_for_at_once_and_any_version(server: Any, plan: Plan) -> None:
    """With the lookback for the bases; labels that name no version narrow it."""
    prometheus = block(server)
    arms = Arms(canary={"version": "{candidate}", "app": 'd"f'}, baseline={"version": "{stable}", "app": 'd"f'})
    await past_of(prometheus, plan.model_copy(update={"arms": arms}), "instance", START, START + HOURS * 3600)
    await prometheus.close()
    assert server.selectors == {"{app=" + json.dumps('d"f') + "}"}
    assert {(until - START, until - since) for since, until in server.windows} == {
        (3600.0 * hour, 3600.0 + LOOKBACK_SECONDS) for hour in (1, 2, 3)
    }


async def test_a_label_that_tells_no_pods_is_refused(server: Any, plan: Plan) -> None:
    """With those that there are."""
    prometheus = block(server)
    with pytest.raises(BadUsage, match=r"has no label 'pod'; it has: instance, .*version"):
        await past_of(prometheus, plan, "pod", START, START + 3600)
    await prometheus.close()


async def test_what_cannot_be_read_is_no_history(server: Any, plan: Plan) -> None:
    """Not one hour may be missing in silence."""
    server.status = 503
    prometheus = block(server)
    with pytest.raises(MeasurementFailed, match="503"):
        await past_of(prometheus, plan, "instance", START, START + 3600)
    await prometheus.close()


async def test_a_label_that_repeats_the_token_is_refused(server: Any, plan: Plan) -> None:
    """Names of pods are shown to people: something in front of the server must not slip the token in among them."""
    token = "glsa_s3cret-of-a-reader"
    fields = {"url": server.url, "bearer": token}
    server.pod = f"a:{token}"
    prometheus = PrometheusServer.from_fields("prometheus/docflow", fields, FakeClock())
    with pytest.raises(MeasurementFailed, match="a secret of this block where a name belongs") as refused:
        await past_of(prometheus, plan, "instance", START, START + 3600)
    await prometheus.close()
    assert token not in str(refused.value)


async def test_without_prefect_there_are_no_credentials(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block's fields are where people edit them; a wrong time is told before that."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ProviderUnavailable, match="no Prefect API is set"):
        await measured(plan, "1h", "instance")
    with pytest.raises(BadUsage, match="'30d' is no duration"):
        await measured(plan, "30d", "instance")
