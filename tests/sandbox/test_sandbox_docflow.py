"""docflow itself: its API, pages, beacons and metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.sandbox.docflow.behaviour import Behaviour
from canary.sandbox.wire import FEATURES, INITIAL_FLAGS, PHASE1_FLAG

if TYPE_CHECKING:
    from .conftest import World

PAGES = ("queue", "analytics", "export")
CALLS = [
    ("GET", "/api/admin/queue?aiType=invoice", "ai_classification_requests_total"),
    ("GET", "/api/admin/analytics/forecast", "forecast_calculations_total"),
    ("POST", "/api/admin/analytics/export/schedule", "export_schedules_total"),
]


async def ask(world: World, method: str, path: str, colour: str = "green", **kwargs: Any) -> httpx.Response:
    """As an internal user of a colour, signed in."""
    headers = {**world.internal(colour), **world.signed_in}
    return await world.http.request(method, f"{world.router}{path}", headers=headers, **kwargs)


async def test_the_metrics_of_the_runbook_are_there_and_carry_the_version(world: World) -> None:
    """Every sample, whatever its metric, says which version it is of."""
    samples = await world.samples()
    names = {name for name, _ in samples}
    assert {
        "publish_latency_ms_bucket",
        "api_request_duration_seconds_bucket",
        "http_requests_total",
        "doc_ingested_total",
        "revenue_total_eur",
        "ai_classification_requests_total",
        "forecast_calculations_total",
        "export_schedules_total",
        "page_views_total",
        "js_errors_total",
    } <= names
    assert {dict(labels)["version"] for _, labels in samples} == {"2.1.0"}


async def test_series_are_there_before_their_first_event(world: World) -> None:
    """An error that is the first of its kind must show as an increase."""
    await world.deploy("2.1.5")
    samples = await world.samples()
    for component in PAGES:
        assert samples["js_errors_total", frozenset({"component": component, "version": "2.1.5"}.items())] == 0
    for method, path, _ in CALLS:
        labels = {"route": path.split("?")[0], "method": method, "status": "500", "version": "2.1.5"}
        assert samples["http_requests_total", frozenset(labels.items())] == 0


async def test_the_histograms_have_an_edge_at_each_objective(world: World) -> None:
    """200 ms for the API and 20 ms for publishing can be judged without interpolation."""
    edges = {(name, dict(labels).get("le")) for name, labels in await world.samples()}
    assert ("api_request_duration_seconds_bucket", "0.2") in edges
    assert ("publish_latency_ms_bucket", "20.0") in edges


async def test_metrics_are_on_the_main_port_too(world: World) -> None:
    """The runbook's own curl works."""
    answer = await ask(world, "GET", "/metrics")
    assert "revenue_total_eur" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("method", "path", "counter"), CALLS)
async def test_a_features_endpoint_works_for_internal_users_and_counts(
    world: World, method: str, path: str, counter: str
) -> None:
    """200 with the token although the flag is off, and each call counts (the few testers' calls too)."""
    requests = {"route": path.split("?")[0], "method": method, "status": "200"}
    before = await world.total(counter), await world.total("http_requests_total", **requests)
    answers = await asyncio.gather(*(ask(world, method, path) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert await world.total(counter) - before[0] >= 40
    assert await world.total("http_requests_total", **requests) - before[1] >= 40


async def test_the_ai_filter_filters(world: World) -> None:
    """Without aiType all documents, with it those of that type."""
    everything = (await ask(world, "GET", "/api/admin/queue")).json()["documents"]
    invoices = (await ask(world, "GET", "/api/admin/queue?aiType=invoice")).json()["documents"]
    assert invoices == [document for document in everything if document["aiType"] == "invoice"]
    assert 0 < len(invoices) < len(everything)


async def test_a_schedule_is_listed_after_it_was_made(world: World) -> None:
    """GET shows what POST scheduled."""
    path = "/api/admin/analytics/export/schedule"
    assert (await ask(world, "POST", path)).json() == {"status": "scheduled"}
    assert (await ask(world, "GET", path)).json()["schedules"]


@pytest.mark.parametrize(("method", "path", "counter"), CALLS)
async def test_a_features_endpoint_wants_the_token(world: World, method: str, path: str, counter: str) -> None:
    """401 without it or with another, and nothing is counted as used."""
    for header in ({}, world.admin):
        answer = await world.http.request(method, f"{world.router}{path}", headers={**world.internal(), **header})
        assert answer.status_code == 401
    assert await world.total("http_requests_total", route=path.split("?")[0], status="401") >= 2


@pytest.mark.parametrize(("method", "path", "counter"), CALLS)
async def test_the_old_version_has_no_features_even_for_internal_users(
    world: World, method: str, path: str, counter: str
) -> None:
    """404, which is no server error."""
    assert (await ask(world, method, path, "blue")).status_code == 404
    assert '"feature": false' in (await ask(world, "GET", "/queue", "blue")).text


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_shows_its_feature_by_its_own_flag(world: World, page: str) -> None:
    """Of ordinary users: off without phase1_enabled, on with it, off again without the page's flag."""
    flag = {feature.component: feature.flag for feature in FEATURES}[page]
    await world.weigh(10_000)

    async def shown(wanted: bool) -> bool:
        text = (await world.get(f"/{page}", x_user="ann")).text
        return (f'"component": "{page}", "feature": true' in text) is wanted

    await world.until(lambda: shown(False))
    await world.patch(phase1_enabled=True)
    await world.until(lambda: shown(True))
    await world.patch(**{flag: False})
    await world.until(lambda: shown(False))


@given(
    st.sampled_from(["2.0.9", "2.1.0", "2.10.1", "3.0.0-rc1", "1.9", "v2.1.0", "nightly"]),
    st.fixed_dictionaries({name: st.booleans() for name in INITIAL_FLAGS}),
    st.sampled_from(FEATURES),
    st.booleans(),
)
def test_a_feature_needs_its_version_and_both_flags_or_an_internal_user(
    version: str, flags: dict[str, bool], feature: Any, internal: bool
) -> None:
    """The rule, over all flags: version 2.1 or later, and (both flags, or internal)."""
    new = version in ("2.1.0", "2.10.1", "3.0.0-rc1", "v2.1.0")
    expected = new and (internal or (flags[PHASE1_FLAG] and flags[feature.flag]))
    assert Behaviour(version, flags, "none", 1).shows(feature, internal=internal) is expected


@pytest.mark.parametrize(("kind", "counter"), [("view", "page_views_total"), ("error", "js_errors_total")])
async def test_a_beacon_counts_for_its_component(world: World, kind: str, counter: str) -> None:
    """A view or an error, put down to the component that sent it."""
    before = await world.total(counter, "blue"), await world.total(counter, "blue", component="export")
    body = {"kind": kind, "component": "export", "message": "x"}
    assert (await ask(world, "POST", "/beacon", "blue", json=body)).status_code == 204
    after = await world.total(counter, "blue"), await world.total(counter, "blue", component="export")
    assert after == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(
    "body", [{}, [], {"kind": "view", "component": "admin"}, {"kind": "click", "component": "queue"}, {"kind": []}]
)
async def test_a_beacon_of_something_unknown_makes_no_new_series(world: World, body: Any) -> None:
    """422: whoever sends rubbish cannot fill the metrics."""
    assert (await ask(world, "POST", "/beacon", json=body)).status_code == 422
    found = {dict(labels).get("component") for name, labels in await world.samples() if name == "js_errors_total"}
    assert found == set(PAGES)


async def test_unknown_paths_share_one_series(world: World) -> None:
    """A scan of the site cannot fill the metrics either."""
    for path in ("/a", "/b"):
        assert (await ask(world, "GET", path)).status_code == 404
    routes = {dict(labels).get("route") for name, labels in await world.samples() if name == "http_requests_total"}
    assert "other" in routes
    assert not routes & {"/a", "/b"}


async def test_publishing_counts_the_document_and_its_revenue(world: World) -> None:
    """One document more, and some euros."""
    before = [await world.total(name, "blue") for name in ("doc_ingested_total", "revenue_total_eur")]
    assert (await ask(world, "POST", "/api/publish", "blue")).status_code == 200
    after = [await world.total(name, "blue") for name in ("doc_ingested_total", "revenue_total_eur")]
    assert after[0] == before[0] + 1
    assert 0.5 <= after[1] - before[1] <= 5


async def test_work_takes_real_time_within_the_objectives(world: World) -> None:
    """Of 200 requests each, 95 % are within 200 ms (API) and 20 ms (publish), and the API takes time at all."""
    for _ in range(10):
        await asyncio.gather(
            *(ask(world, "GET", "/api/documents", "blue") for _ in range(20)),
            *(ask(world, "POST", "/api/publish", "blue") for _ in range(20)),
        )
    api, publish = "api_request_duration_seconds", "publish_latency_ms"
    within = await world.total(f"{api}_bucket", "blue", le="0.2")
    fast = await world.total(f"{api}_bucket", "blue", le="0.01")
    count = await world.total(f"{api}_count", "blue")
    assert fast / count < 0.2 < 0.95 < within / count
    published = await world.total(f"{publish}_bucket", "blue", le="20.0")
    assert published / await world.total(f"{publish}_count", "blue") > 0.95


async def test_every_answer_is_signed_with_the_version(world: World) -> None:
    """Refusals too: so users' bad responses can be put down to a version."""
    for path in ("/version", "/nowhere", "/api/admin/queue", "/static/secret.js"):
        assert (await world.get(path, x_user="ann")).headers["x-docflow-version"] == "2.0.9"
