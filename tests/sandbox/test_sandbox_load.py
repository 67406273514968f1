"""The users: how many requests, of what, and what is counted of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.sandbox.control import Sandbox
from canary.sandbox.load.config import Scene
from canary.sandbox.load.generator import Stream
from canary.sandbox.load.tally import UserTally
from canary.sandbox.state import Load
from canary.sandbox.wire import FEATURES

if TYPE_CHECKING:
    from .conftest import World

RPS = 150.0


@pytest.fixture(scope="module")
def busy_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    running = asyncio.run(Sandbox.start(tmp_path_factory.mktemp("busy"), rps=RPS, users=500))
    yield running
    asyncio.run(running.stop())


@pytest.fixture
async def busy(busy_sandbox: Sandbox, world: World) -> AsyncIterator[World]:
    """A sandbox with users, half of them on a candidate with all its features."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        here = type(world)(busy_sandbox, http)
        await here.sandbox.fault("none")
        await here.deploy("2.1.0")
        await here.patch(phase1_enabled=True)
        await here.weigh(5000)
        yield here


async def added(world: World, seconds: float) -> tuple[Load, float]:
    """What the users did in about that time, and how many seconds it was."""
    loop = asyncio.get_running_loop()
    before, start = (await world.sandbox.status()).load, loop.time()

    async def over() -> bool:
        return loop.time() - start >= seconds

    await world.until(over, seconds + 5)
    after = (await world.sandbox.status()).load
    counts = {name: getattr(after, name) - getattr(before, name) for name in ("sent", "ok", "internal_sent")}
    return Load(**counts), loop.time() - start


async def test_users_send_the_asked_rate_and_internal_testers_about_10_rps(busy: World) -> None:
    """Follow-up requests of pages are part of the rate; all is well in the absence of a fault."""
    load, seconds = await added(busy, 6)
    assert load.sent / seconds == pytest.approx(RPS, rel=0.25)
    assert load.internal_sent / seconds == pytest.approx(10, rel=0.5)
    assert load.ok > 0.9 * load.sent


async def test_about_a_quarter_of_the_requests_are_page_views(busy: World) -> None:
    """So that a short canary shows enough page views to judge the UI by."""
    before = [await busy.total(name) for name in ("page_views_total", "http_requests_total")]
    await added(busy, 4)
    after = [await busy.total(name) for name in ("page_views_total", "http_requests_total")]
    views, requests = (now - then for now, then in zip(after, before, strict=True))
    assert 0.18 < views / requests < 0.32


async def test_users_use_the_features_that_their_pages_show(busy: World) -> None:
    """On the candidate every feature's endpoint is called; on the stable version none."""
    before = await busy.total("http_requests_total", route="/api/admin/queue", status="200")

    async def used() -> bool:
        return await busy.total("http_requests_total", route="/api/admin/queue", status="200") >= before + 5

    await busy.until(used)
    blue = await busy.samples("blue")
    calls = {value for (_, labels), value in blue.items() if dict(labels).get("route", "").startswith("/api/admin")}
    assert calls == {0}


MOVED_BY_USERS = (
    "ai_classification_requests_total",
    "ai_confidence_count",
    "forecast_calculations_total",
    "forecast_error_ratio_count",
    "export_schedules_total",
    "queue_load_seconds_count",
    "analytics_render_seconds_count",
    "export_api_seconds_count",
    "websocket_messages_total",
    "process_cpu_seconds_total",
)


async def test_users_move_every_metric_of_the_features(busy: World) -> None:
    """On the candidate; on the stable version nothing of the features moves, but documents and exports by hand do."""
    before = {name: await busy.total(name) for name in MOVED_BY_USERS}
    uses = {feature: await busy.total("feature_uses_total", use=feature.use) for feature in FEATURES}

    async def all_moved() -> bool:
        moved = [await busy.total(name) > value for name, value in before.items()]
        used = [await busy.total("feature_uses_total", use=feature.use) > value for feature, value in uses.items()]
        by_hand = [
            await busy.total("documents_classified_total", "blue", by="manual"),
            await busy.total("exports_total", "blue", kind="manual"),
            await busy.total("websocket_messages_total", "blue"),
        ]
        return all([*moved, *used, *by_hand])

    await busy.until(all_moved, 20)
    assert [await busy.total(name, "blue") for name in MOVED_BY_USERS[:-2]] == [0] * len(MOVED_BY_USERS[:-2])
    assert await busy.total("feature_uses_total", "blue") == 0
    assert await busy.total("exports_total", "blue", kind="scheduled") == 0


async def test_a_good_third_of_the_candidates_exports_are_scheduled(busy: World) -> None:
    """Of at least 60 of them."""
    before = [await busy.total("exports_total", kind=kind) for kind in ("scheduled", "manual")]
    risen = [0.0, 0.0]

    async def enough() -> bool:
        now = [await busy.total("exports_total", kind=kind) for kind in ("scheduled", "manual")]
        risen[:] = (new - old for new, old in zip(now, before, strict=True))
        return sum(risen) >= 60

    await busy.until(enough, 30)
    assert 0.2 < risen[0] / sum(risen) < 0.55


async def test_the_rendering_time_that_users_send_follows_the_latency(busy: World) -> None:
    """Measured from the toggle to the bars: under the fault `latency` no forecast is there within 150 ms."""
    await busy.sandbox.fault("latency")
    name = "analytics_render_seconds"

    async def after(count: float) -> tuple[float, float]:
        """How many there are, and how many of these were quick, once there are that many."""

        async def there() -> bool:
            return await busy.total(f"{name}_count") >= count

        await busy.until(there, 20)
        return await busy.total(f"{name}_count"), await busy.total(f"{name}_bucket", le="0.15")

    # The first ones may have begun before the fault.
    seen, quick = await after(await busy.total(f"{name}_count") + 5)
    assert (await after(seen + 10))[1] == quick


async def test_admins_come_and_try_the_features(busy: World) -> None:
    """They are ten of the 500 users, about half of them on the candidate; soon most of them have tried something."""

    async def most() -> bool:
        seen = await busy.total("admins_seen")
        tried = [await busy.total("admins_seen_by_feature", feature=feature.name) for feature in FEATURES]
        assert max(tried) <= seen <= 10
        return min(tried) > seen / 2

    await busy.until(most, 30)
    assert await busy.total("admins_seen", "blue") <= 10
    assert await busy.total("admins_seen_by_feature", "blue") == 0


async def test_bad_answers_are_counted_for_the_version_that_gave_them(busy: World) -> None:
    """With the fault on, users of the candidate see 5xx; the stable version's users see none."""
    await busy.sandbox.fault("errors")

    async def seen() -> bool:
        return (await busy.sandbox.status()).load.by_version["2.1.0"].bad >= 5

    await busy.until(seen)
    load = (await busy.sandbox.status()).load
    assert load.by_version["2.0.9"].bad == 0
    assert load.server_errors >= 5


async def test_a_throwing_component_posts_its_error_beacon(busy: World) -> None:
    """Queue and analytics on the candidate, export never; the stable version never."""
    await busy.sandbox.fault("ui")

    async def both() -> bool:
        return all([await busy.total("js_errors_total", component=name) >= 3 for name in ("queue", "analytics")])

    await busy.until(both)
    assert await busy.total("js_errors_total", component="export") == 0
    assert await busy.total("js_errors_total", "blue") == 0


async def test_a_starving_candidate_is_seen_as_timeouts_of_its_version(busy: World) -> None:
    """The router's 504 carries no version; its colour tells whose user waited in vain."""
    await busy.sandbox.fault("starve")

    async def seen() -> bool:
        load = (await busy.sandbox.status()).load
        return load.timeouts >= 5

    before = (await busy.sandbox.status()).load.by_version["2.1.0"].bad
    await busy.until(seen, 15)
    load = (await busy.sandbox.status()).load
    assert load.by_version["2.1.0"].bad >= before + 5
    assert load.by_version["2.0.9"].bad == 0


class Hanging:
    """A visitor whose request is never answered."""

    requests = 1

    async def act(self) -> None:
        await asyncio.Event().wait()


class Quick:
    """A visitor who sends a few requests at once."""

    def __init__(self, log: list[int], requests: int) -> None:
        self.requests = requests
        self._log = log

    async def act(self) -> None:
        self._log.append(self.requests)


async def test_what_does_not_fit_is_shed_and_counted() -> None:
    """With every server hanging, no more than 1000 actions are under way; the rest are not begun."""
    begun: list[Hanging] = []
    tally = UserTally()

    def begin() -> Any:
        begun.append(Hanging())
        return begun[-1]

    stream = Stream(1000, begin, tally.shed)
    for _ in range(100):
        stream.advance(0.1)
    assert len(begun) == 1000
    assert tally.load(0).shed > 1000
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@pytest.mark.parametrize("requests", [1, 2, 4])
async def test_the_rate_holds_whatever_an_action_sends(requests: int) -> None:
    """Open loop: 100 s at 50 requests per second are 5000 requests, of many small or few large actions."""
    log: list[int] = []
    stream = Stream(50, lambda: cast("Any", Quick(log, requests)), lambda: None)
    for _ in range(10_000):
        stream.advance(0.01)
        await asyncio.sleep(0)
    assert sum(log) == pytest.approx(5000, rel=0.02)


async def test_after_a_pause_the_backlog_is_not_sent_in_one_burst() -> None:
    """A process that slept a minute does not fire a minute's requests at once."""
    log: list[int] = []
    stream = Stream(600, lambda: cast("Any", Quick(log, 1)), lambda: None)
    stream.advance(60)
    await asyncio.sleep(0)
    assert 0 < len(log) < 200


SCENE = Scene(versions={"blue": "2.0.9", "green": "2.1.0"}, candidate="green")
answers = st.tuples(
    st.sampled_from([200, 204, 401, 404, 500, 503, 504]),
    st.sampled_from(["2.0.9", "2.1.0", None]),
    st.sampled_from(["blue", "green", "red", None]),
)


@given(st.lists(st.one_of(answers, st.booleans())))
def test_every_request_is_counted_once_by_kind_and_once_by_version(seen: list[Any]) -> None:
    """The kinds sum to the requests, and so do the versions; bad are the 5xx and what never came."""
    tally = UserTally()
    tally.scene = SCENE
    for each in seen:
        tally.sent()
        if isinstance(each, bool):
            tally.failed(late=each)
        else:
            tally.answered(*each)
    load = tally.load(0)
    bad = load.server_errors + load.timeouts + load.broken
    assert load.sent == len(seen) == load.ok + load.refused + bad
    assert sum(version.bad for version in load.by_version.values()) == bad
    assert sum(version.ok for version in load.by_version.values()) == load.ok + load.refused


@given(answers)
def test_an_unsigned_answer_is_put_down_to_its_colours_version(answer: tuple[int, str | None, str | None]) -> None:
    """The server's own signature goes first, then the colour; otherwise nobody can tell."""
    status, version, colour = answer
    tally = UserTally()
    tally.scene = SCENE
    tally.answered(status, version, colour)
    expected = version or {"blue": "2.0.9", "green": "2.1.0"}.get(str(colour), "unknown")
    assert set(tally.load(0).by_version) == {expected}
