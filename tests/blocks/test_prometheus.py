"""PrometheusServer beyond the suite: its queries, its credentials, and every odd answer of the API."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiohttp import web

from canary.blocks.prometheus import PrometheusServer
from canary.errors import CredentialError, MeasurementFailed
from canary.plan.model import Arms, Signal
from canary.testing.fakes import FakeClock
from canary.testing.metrics import total

ARMS = Arms(canary={"version": "2.1.0"}, baseline={"version": "2.0.9"})
ERRORS = {"errors": Signal(counter="requests_total", bad={"status": "5.."})}


class Api:
    """The query API; `said` is the body of every answer."""

    def __init__(self) -> None:
        self.said: Any = {"status": "success", "data": {"resultType": "matrix", "result": []}}
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("POST", "/api/v1/query")
        self.asked.append({str(k): str(v) for k, v in (await request.post()).items()})
        self.headers = dict(request.headers)
        return web.json_response(self.said, status=self.status)

    def shows(self, *series: dict[str, Any]) -> None:
        self.said = {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


def _series(version: str, status: str, *values: tuple[float, str]) -> dict[str, Any]:
    labels = {"__name__": "requests_total", "version": version, "status": status, "instance": "a:1"}
    return {"metric": labels, "values": [list(value) for value in values]}


@pytest.fixture
async def api(serve: Any) -> Any:
    """An API, with its address in `url`."""
    fake: Any = Api()
    fake.url = await serve(fake.handle)
    return fake


def _server(api: Any, **fields: Any) -> PrometheusServer:
    return PrometheusServer.from_fields("prometheus/docflow", {"url": api.url, **fields}, FakeClock())


async def test_the_query_reaches_back_for_the_base(api: Any) -> None:
    """Raw samples of both arms, at `until`, over a window that begins five minutes before `since`."""
    server = _server(api)
    await server.read(ERRORS, Arms(canary={"v": 'a.1"'}, baseline={"v": "b"}), 1000.0, 1015.0)
    assert api.asked == [{"query": r'requests_total{v=~"a\\.1\"|b"}[315000ms]', "time": "1015.000"}]
    await server.close()


async def test_one_query_per_metric(api: Any) -> None:
    """A histogram and a counter that two signals share are three names, hence three queries."""
    signals = {
        **ERRORS,
        "same": Signal(counter="requests_total", bad={"status": "4.."}),
        "latency": Signal(histogram="latency_seconds"),
    }
    server = _server(api)
    await server.read(signals, ARMS, 0, 15)
    names = sorted(query["query"].partition("{")[0] for query in api.asked)
    assert names == ["latency_seconds_bucket", "latency_seconds_count", "requests_total"]
    await server.close()


async def test_an_empty_vector_is_no_scrape(api: Any) -> None:
    """No series is no data, and no error."""
    server = _server(api)
    assert await server.read(ERRORS, ARMS, 0, 15) == []
    await server.close()


async def test_nan_is_passed_over(api: Any) -> None:
    """A sample that is the string NaN or +Inf adds nothing and hides nothing."""
    api.shows(_series("2.1.0", "200", (1, "5"), (2, "NaN"), (3, "+Inf"), (4, "9")))
    server = _server(api)
    scrapes = await server.read(ERRORS, ARMS, 1, 4)
    assert total(scrapes, "errors", "canary").total == 4
    await server.close()


@pytest.mark.parametrize("status", [400, 422, 503])
async def test_prometheus_own_words(api: Any, status: int) -> None:
    """A refusal is a failed measurement that repeats what Prometheus said."""
    api.status = status
    api.said = {"status": "error", "errorType": "bad_data", "error": "1:3: parse error: unexpected character"}
    server = _server(api)
    with pytest.raises(MeasurementFailed, match=f"{status}: 1:3: parse error"):
        await server.read(ERRORS, ARMS, 0, 15)
    with pytest.raises(MeasurementFailed, match="parse error"):
        await server.check_connection()
    await server.close()


async def test_a_warning_is_no_answer(api: Any) -> None:
    """An answer that may lack a part could hide errors: it is not measured."""
    api.shows(_series("2.1.0", "200", (1, "5"), (2, "6")))
    api.said["warnings"] = ["remote storage timed out"]
    server = _server(api)
    with pytest.raises(MeasurementFailed, match="remote storage timed out"):
        await server.read(ERRORS, ARMS, 0, 15)
    await server.close()


@pytest.mark.parametrize(
    "said",
    [[], {}, {"data": None}, {"data": {"result": [{"metric": {}}]}}, {"data": {"result": [{"metric": 3}]}}, 7],
)
async def test_garbage_is_a_failed_measurement(api: Any, said: Any) -> None:
    """JSON that is no query result is never read as "nothing happened"."""
    api.said = said
    server = _server(api)
    with pytest.raises(MeasurementFailed):
        await server.read(ERRORS, ARMS, 0, 15)
    await server.close()


async def test_credentials(api: Any) -> None:
    """Bearer or basic, each in its header; what the server repeats of it is hidden; the field is named."""
    pair = base64.b64encode(b"ann:pass-w0rd").decode()
    for fields, header, field in (
        ({"bearer": "t0ken"}, "Bearer t0ken", "bearer"),
        ({"username": "ann", "password": "pass-w0rd"}, f"Basic {pair}", "password"),
    ):
        server = _server(api, **fields)
        api.status, api.said = 200, {"data": {"result": []}}
        await server.check_connection()
        assert api.headers["Authorization"] == header
        api.status, api.said = 401, {"error": f"who is {header}?"}
        with pytest.raises(CredentialError) as error:
            await server.check_connection()
        assert error.value.field == field
        assert header.split()[1] not in str(error.value)
        await server.close()


@pytest.mark.parametrize(
    "fields", [{"bearer": "a", "username": "b", "password": "c"}, {"username": "b"}, {"password": "c"}]
)
def test_one_way_to_prove_who_asks(fields: dict[str, str]) -> None:
    """Two credentials, or half of one, are refused when the block is made."""
    with pytest.raises(CredentialError, match=r"either bearer|belong together"):
        PrometheusServer.from_fields("prometheus/x", {"url": "http://127.0.0.1:1", **fields})
