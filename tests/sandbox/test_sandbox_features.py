"""What docflow counts of the three features, of its documents and exports, and of who uses them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.sandbox.docflow import beacon, meters
from canary.sandbox.docflow.behaviour import Behaviour
from canary.sandbox.wire import COMPONENTS, FEATURES, FORECAST, INITIAL_FLAGS, is_admin, user_id

if TYPE_CHECKING:
    from .conftest import World

CALLS = {
    "queue": ("GET", "/api/admin/queue?aiType=invoice"),
    "analytics": ("GET", "/api/admin/analytics/forecast"),
    "export": ("POST", "/api/admin/analytics/export/schedule"),
}
# All calls, and of these the failed ones.
COUNTERS = {
    "queue": ("ai_classification_requests_total", "ai_classification_failures_total"),
    "analytics": ("forecast_calculations_total", "forecast_calculation_errors_total"),
    "export": ("export_schedules_total", "export_scheduling_failures_total"),
}
# The testers' own share: they send 10 requests a second, and these tests count what comes on top.
MANY = 40


@pytest.fixture
async def open_to_all(world: World) -> World:
    """Every ordinary user is on the candidate, which shows them its features."""
    await world.weigh(10_000)
    await world.patch(phase1_enabled=True)

    async def shown() -> bool:
        return '"feature": true' in (await world.get("/queue", x_user="ann")).text

    await world.until(shown)
    return world


async def call(world: World, component: str, times: int = MANY, user: str = "ann") -> list[int]:
    """The statuses of that many calls of a feature by a user who is signed in."""
    method, path = CALLS[component]
    headers = {"x-user": user, **world.signed_in}
    asked = (world.http.request(method, f"{world.router}{path}", headers=headers) for _ in range(times))
    return [answer.status_code for answer in await asyncio.gather(*asked)]


async def publish(world: World, times: int = MANY) -> None:
    asked = (world.http.post(f"{world.router}/api/publish", headers={"x-user": "ann"}) for _ in range(times))
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}


async def test_the_table_of_metrics_is_complete_and_true(world: World) -> None:
    """Each metric of /metrics is in the table with its labels, and the table names no other."""
    rows = re.findall(r"^\| ([a-z][a-z_]+) \| ([a-z, ]*)\|", meters.__doc__ or "", re.MULTILINE)
    table = {name: set(labels.replace(",", " ").split()) for name, labels in rows if name != "metric"}
    found: dict[str, set[str]] = {}
    for name, labels in await world.samples():
        found.setdefault(re.sub(r"_(bucket|sum|count)$", "", name), set()).update(
            dict(labels).keys() - {"le", "version"}
        )
    others = {"process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_max_fds"}
    assert {name: labels for name, labels in found.items() if name not in others} == table


@pytest.mark.parametrize("component", COMPONENTS)
async def test_failed_calls_of_a_feature_are_counted_among_all(open_to_all: World, component: str) -> None:
    """With the fault `errors` the failures rise by what users saw fail, without it they stand still."""
    every, failed = COUNTERS[component]
    before = await open_to_all.total(every), await open_to_all.total(failed)
    assert set(await call(open_to_all, component)) == {200}
    assert await open_to_all.total(failed) == before[1]
    await open_to_all.sandbox.fault("errors")
    seen = await call(open_to_all, component)
    assert seen.count(500) > 0
    assert await open_to_all.total(failed) >= before[1] + seen.count(500)
    assert await open_to_all.total(every) >= before[0] + 2 * MANY


async def test_a_feature_that_is_off_is_not_counted(world: World) -> None:
    """Its endpoint answers 404, or 500 with the fault `errors`: neither is a classification, a forecast, a schedule."""
    await world.deploy("2.0.9")
    await world.weigh(10_000)
    await world.patch(phase1_enabled=True)
    for component, counters in COUNTERS.items():
        assert set(await call(world, component, 5)) == {404}
        assert [await world.total(name) for name in counters] == [0, 0]


@pytest.mark.parametrize(
    ("component", "histogram"), [("queue", "queue_load_seconds"), ("export", "export_api_seconds")]
)
async def test_a_features_api_time_follows_its_latency(open_to_all: World, component: str, histogram: str) -> None:
    """In seconds: every call under the fault `latency` takes more than 150 ms, and most others less."""
    quick = await quick_share(open_to_all, component, histogram)
    await open_to_all.sandbox.fault("latency")
    slow = await quick_share(open_to_all, component, histogram)
    assert quick > 0.7
    # What the testers had under way when the fault began.
    assert slow < 0.1


async def quick_share(world: World, component: str, histogram: str) -> float:
    """Of the calls observed meanwhile, the share within 150 ms."""
    before = await world.total(f"{histogram}_bucket", le="0.15"), await world.total(f"{histogram}_count")
    await call(world, component)
    after = await world.total(f"{histogram}_bucket", le="0.15"), await world.total(f"{histogram}_count")
    assert after[1] - before[1] >= MANY
    return (after[0] - before[0]) / (after[1] - before[1])


async def test_documents_are_classified_by_the_ai_only_where_it_is_switched_on(open_to_all: World) -> None:
    """With the flag most published documents are its work, without it all are done by hand."""
    before = await classified(open_to_all)
    await publish(open_to_all)
    after = await classified(open_to_all)
    assert after["ai"] - before["ai"] > 0.6 * MANY
    assert after["confidence"] - before["confidence"] >= MANY
    blue = await classified(open_to_all, "blue")
    await open_to_all.weigh(0)
    await publish(open_to_all)
    assert await classified(open_to_all, "blue") == {**blue, "manual": blue["manual"] + MANY}


async def classified(world: World, colour: Any = "green") -> dict[str, float]:
    by = {each: await world.total("documents_classified_total", colour, by=each) for each in ("ai", "manual")}
    return {**by, "confidence": await world.total("ai_confidence_count", colour)}


async def test_a_forecast_is_compared_with_what_came(open_to_all: World) -> None:
    """Each one's deviation is observed, and it is small."""
    name = "forecast_error_ratio"
    before = await open_to_all.total(f"{name}_count"), await open_to_all.total(f"{name}_bucket", le="0.2")
    await call(open_to_all, "analytics")
    after = await open_to_all.total(f"{name}_count"), await open_to_all.total(f"{name}_bucket", le="0.2")
    assert after[0] - before[0] >= MANY
    assert (after[1] - before[1]) / (after[0] - before[0]) > 0.9


async def test_exports_are_counted_by_kind(open_to_all: World) -> None:
    """A schedule is one kind, a file taken at once the other; the old version has only that."""
    before = await exports(open_to_all, "green")
    await call(open_to_all, "export")
    scheduled = await exports(open_to_all, "green")
    assert scheduled["scheduled"] - before["scheduled"] >= MANY
    blue = await exports(open_to_all, "blue")
    answer = await open_to_all.http.get(f"{open_to_all.router}/api/export", headers=open_to_all.internal("blue"))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[:2] == ["id,title", "1,invoice 1"]
    assert await exports(open_to_all, "blue") == {**blue, "manual": blue["manual"] + 1}


async def exports(world: World, colour: Any) -> dict[str, float]:
    return {kind: await world.total("exports_total", colour, kind=kind) for kind in ("scheduled", "manual")}


async def test_distinct_admins_are_counted_and_which_feature_they_used(open_to_all: World) -> None:
    """Every fiftieth user is one; the same one twice is one; a page alone is no use; others do not count."""
    await open_to_all.weigh(0)
    await open_to_all.deploy("2.1.6")
    assert await admins(open_to_all) == [0, 0, 0, 0]
    await open_to_all.weigh(10_000)
    for number in (0, 50, 51, 100, 0):
        assert (await open_to_all.get("/queue", x_user=user_id(number))).status_code == 200
    assert await admins(open_to_all) == [3, 0, 0, 0]
    for number in (50, 50, 100, 101):
        assert await call(open_to_all, "queue", 1, user_id(number)) == [200]
    assert await call(open_to_all, "export", 1, user_id(150)) == [200]
    assert await call(open_to_all, "export", 1, user_id(50)) == [200]
    assert await admins(open_to_all) == [4, 2, 0, 2]
    assert await open_to_all.total("admins_seen_by_feature", feature="any") == 3


async def admins(world: World) -> list[float]:
    tried = [await world.total("admins_seen_by_feature", feature=feature.name) for feature in FEATURES]
    return [await world.total("admins_seen"), *tried]


@pytest.mark.parametrize("feature", FEATURES)
async def test_a_use_beacon_counts_the_use(world: World, feature: Any) -> None:
    """For its component and use; the rendering time, where the page measures it, is observed."""
    labels = {"component": feature.component, "use": feature.use}
    before = await world.total("feature_uses_total", "blue"), await world.total("feature_uses_total", "blue", **labels)
    slow = await world.total("analytics_render_seconds_sum", "blue")
    more = {"render_seconds": 0.5} if feature is FORECAST else {}
    body = {"kind": "use", **labels, **more}
    headers = world.internal("blue")
    assert (await world.http.post(f"{world.router}/beacon", json=body, headers=headers)).status_code == 204
    after = await world.total("feature_uses_total", "blue"), await world.total("feature_uses_total", "blue", **labels)
    assert after == (before[0] + 1, before[1] + 1)
    assert await world.total("analytics_render_seconds_sum", "blue") == pytest.approx(
        slow + more.get("render_seconds", 0)
    )


@given(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["view", "error", "use", "click", None, []])},
        optional={
            "component": st.sampled_from([*COMPONENTS, "admin", 1]),
            "use": st.sampled_from(["ai_filter", "forecast_toggle", "export_schedule", "other"]),
            "render_seconds": st.sampled_from([0, 0.2, 60, 61, -1, "0.1", True, float("nan"), float("inf")]),
        },
    )
)
def test_only_a_beacon_that_a_page_could_send_is_taken(body: dict[str, Any]) -> None:
    """A known page; for a use its own one; a rendering time of the forecast alone, from 0 to 60 s."""
    pages = {feature.component: feature.use for feature in FEATURES}
    component, seconds = body.get("component"), body.get("render_seconds")
    known = component in pages
    measured = "render_seconds" not in body or (
        component == "analytics" and type(seconds) in (int, float) and 0 <= seconds <= 60
    )
    used = body["kind"] == "use" and known and body.get("use") == pages[component] and measured
    sent = beacon.parse(json.dumps(body).encode())
    assert (sent is not None) is (used or (body["kind"] in ("view", "error") and known))


@given(st.integers(0, 2**32))
def test_the_ai_is_sure_of_most_documents_and_forecasts_are_close(seed: int) -> None:
    """Whatever the seed: above 0.85 for more than 80 %, below 0.5 for well under 10 %; deviations under 20 %."""
    behaviour = Behaviour("2.1.0", INITIAL_FLAGS, "none", seed)
    confidences = [behaviour.confidence() for _ in range(2000)]
    ratios = [behaviour.forecast_error_ratio() for _ in range(2000)]
    assert all(0 <= each <= 1 for each in confidences)
    assert sum(each > 0.85 for each in confidences) > 0.8 * 2000
    assert 0 < sum(each < 0.5 for each in confidences) < 0.07 * 2000
    assert min(ratios) >= 0
    assert sum(each > 0.2 for each in ratios) < 0.03 * 2000


@pytest.mark.parametrize(
    ("user", "admin"),
    [
        ("user-0", True),
        ("user-50", True),
        ("user-51", False),
        ("user-", False),
        ("", False),
        ("internal-tester", False),
    ],
)
def test_who_is_an_admin_follows_from_the_user_id(user: str, admin: bool) -> None:
    """Numbers that divide by fifty; who has no number is none, and ids of any length cannot fill the memory."""
    assert is_admin(user) is admin
    assert not is_admin("user-50000000")


async def test_a_server_shows_its_own_cpu_and_memory(world: World) -> None:
    """Under the standard names; CPU time rises with the work."""
    before = await world.total("process_cpu_seconds_total", "blue")

    async def worked() -> bool:
        await asyncio.gather(*(world.get("/queue", x_user="ann") for _ in range(20)))
        return await world.total("process_cpu_seconds_total", "blue") > before

    await world.until(worked)
    assert await world.total("process_resident_memory_bytes", "blue") > 10_000_000
