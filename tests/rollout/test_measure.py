"""One tick's measurement: what is judged decides, what is watched comes along."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.errors import MeasurementFailed
from canary.judge.evidence import Block, Evidence
from canary.plan.load import parse_plan
from canary.ports import Increment, Scrape, Verification
from canary.rollout import events as e
from canary.rollout.folding import fold
from canary.rollout.measure import Meter
from canary.rollout.state import State
from canary.testing.fakes import FakeClock, FakeMetrics
from canary.testing.journal import MemoryJournal

WATCHING = {
    "signals.memory": {"gauge": "memory_bytes"},
    "signals.clicks": {"counter": "clicks_total"},
    "key_metrics": {
        "use": [
            {"name": "Memory", "signal": "memory", "shows": "last"},
            {"name": "Clicks", "signal": "clicks", "shows": "per_hour"},
        ]
    },
}
REQUESTS, CLICKS = {"canary": Increment(100.0, 1.0)}, {"canary": Increment(7.0)}


def memory(value: float) -> dict[str, Any]:
    return {"canary": Increment(0.0, last=value)}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> FakeMetrics:
    return FakeMetrics()


@pytest.fixture
def meter(clock: FakeClock, metrics: FakeMetrics, make_world: Any) -> Meter:
    plan = parse_plan(json.dumps(make_world(WATCHING).document))
    return Meter(clock, metrics, plan, plan.arms.resolve("2.0.0", "1.0.0"))


async def test_a_late_tick_counts_what_was_sent_in_all_of_its_blocks(
    meter: Meter, metrics: FakeMetrics, clock: FakeClock
) -> None:
    """Three slots were read at once: the last holds what was sent in them, and the others are not uncounted."""
    began, looked = clock.now(), Verification("yes", 0.1, "", {"canary": 5.0, "baseline": 50.0})
    metrics.scrapes += [Scrape(began + second, {"errors": REQUESTS}) for second in (5, 20, 35, 50)]
    await clock.sleep(16)
    (first,) = await meter.blocks(meter.plan.phases[1], State("r", phase_since=began), {"web": looked})
    assert first.routed is None
    await clock.sleep(45)
    later = replace(looked, routed={"canary": 35.0, "baseline": 320.0})
    blocks = await meter.blocks(meter.plan.phases[1], State("r", phase_since=first.at), {"web": later})
    assert [block.routed for block in blocks] == [{"canary": 0.0, "baseline": 0.0}] * 2 + [
        {"canary": 30.0, "baseline": 270.0}
    ]


async def test_a_block_brings_what_is_watched_beside_what_is_judged(
    meter: Meter, metrics: FakeMetrics, clock: FakeClock
) -> None:
    """Counters are summed, gauges are their newest value, and a journaled block is read back whole."""
    began = clock.now()
    for second, value in ((5, 50.0), (10, 60.0)):
        signals: Any = {"errors": REQUESTS, "clicks": CLICKS, "memory": memory(value)}
        metrics.scrapes.append(Scrape(began + second, signals))
    await clock.sleep(15)
    (block,) = await meter.blocks(meter.plan.phases[1], State("r", phase_since=began), {})
    assert block.increments == {"errors": {"canary": Increment(200.0, 2.0)}}
    assert block.watched == {"clicks": {"canary": Increment(14.0)}, "memory": memory(60.0)}


async def test_what_is_watched_neither_ends_a_silence_nor_moves_the_time(
    meter: Meter, metrics: FakeMetrics, clock: FakeClock
) -> None:
    """With nothing judged there is no block, and later a failed measurement; what came after is read the next time."""
    began, phase = clock.now(), meter.plan.phases[1]
    state = State("r", phase_since=began)
    metrics.scrapes.append(Scrape(began + 5, {"memory": memory(50.0)}))
    await clock.sleep(15)
    assert await meter.blocks(phase, state, {}) == []
    metrics.scrapes.append(Scrape(began + 16, {"errors": REQUESTS}))
    metrics.scrapes.append(Scrape(began + 17, {"clicks": CLICKS}))
    await clock.sleep(15)
    first, block = await meter.blocks(phase, state, {})
    assert (first.at, first.scrapes, list(first.watched)) == (began + 15, 0, ["memory"])
    assert (block.at, block.scrapes, list(block.watched)) == (began + 30, 1, ["clicks"])
    metrics.scrapes[:] = [Scrape(clock.now() + 100, {"clicks": CLICKS})]
    await clock.sleep(110)
    with pytest.raises(MeasurementFailed, match="no new scrape"):
        await meter.blocks(phase, State("r", sampled_at=block.at), {})


async def test_a_watched_signal_that_is_absent_disturbs_nothing(
    meter: Meter, metrics: FakeMetrics, clock: FakeClock
) -> None:
    """The block holds the others."""
    metrics.scrapes.append(Scrape(clock.now() + 5, {"errors": REQUESTS, "clicks": {}}))
    began = clock.now()
    await clock.sleep(15)
    (block,) = await meter.blocks(meter.plan.phases[1], State("r", phase_since=began), {})
    assert (block.increments, block.watched) == ({"errors": REQUESTS}, {"clicks": {}})


async def test_what_is_watched_moves_no_state(meter: Meter, metrics: FakeMetrics, clock: FakeClock) -> None:
    """The fold of a journal is the same with and without it; old journals do not have it."""
    began = clock.now()
    metrics.scrapes.append(Scrape(began + 5, {"errors": REQUESTS, "clicks": {"canary": Increment(9.0, 9.0)}}))
    await clock.sleep(15)
    (block,) = await meter.blocks(meter.plan.phases[1], State("r", phase_since=began), {})
    data = block.to_data()
    old = {key: value for key, value in data.items() if key != "watched"}
    states = []
    for body in (data, old):
        journal = MemoryJournal()
        entries = await journal.append("r", 0, [e.Sampled(block=body).entry(1.0)])
        states.append(fold(State("r"), entries))
    assert states[0] == states[1]
    assert states[0].bad_requests == 1.0


@given(gaps=st.lists(st.floats(0.5, 70.0), min_size=1, max_size=12), scale=st.sampled_from([1.0, 7.0, 60.0]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_blocks_do_not_depend_on_when_they_were_asked_for(
    make_world: Any, gaps: list[float], scale: float
) -> None:
    """Asked at any moments, late or early, the blocks are those of somebody who asked once, at the end."""
    plan = parse_plan(json.dumps(make_world({"time_scale": scale}).document))
    phase, arms = plan.phases[1], plan.arms.resolve("2.0.0", "1.0.0")

    async def asked(moments: list[float]) -> list[Block]:
        clock, metrics, found = FakeClock(), FakeMetrics(), list[Block]()
        meter, state = Meter(clock, metrics, plan, arms), State("r", phase_since=clock.now())
        metrics.scrapes += [
            Scrape(clock.now() + n * 4.0 / scale, {"errors": {"canary": Increment(1.0 + n)}}) for n in range(1, 200)
        ]
        for moment in moments:
            await clock.sleep(moment / scale)
            for block in await meter.blocks(phase, state, {}):
                found.append(block)
                state = State("r", sampled_at=block.at)
        return found

    assert await asked(gaps) == await asked([sum(gaps)])


@pytest.mark.parametrize("changed", [None, 3])
async def test_what_is_read_again_after_a_restart_is_held_against_the_journal(
    meter: Meter, metrics: FakeMetrics, clock: FakeClock, changed: int | None
) -> None:
    """Equal samples are silent; a block that the source tells otherwise now is named, and its evidence stays."""
    phase, began = meter.plan.phases[1], clock.now()
    metrics.scrapes += [Scrape(began + n * 5.0, {"errors": {"canary": Increment(10.0)}}) for n in range(1, 13)]
    await clock.sleep(60)
    blocks = await meter.blocks(phase, State("r", phase_since=began), {})
    evidence = reduce(Evidence.add, blocks, Evidence())
    if changed is not None:
        metrics.scrapes[changed] = Scrape(metrics.scrapes[changed].at, {"errors": {"canary": Increment(11.0)}})
    found = await meter.differing(phase, State("r", soak_since=began, evidence=evidence))
    assert found == (None if changed is None else e.SamplesDiffer(blocks=(began + 30,), compared=3))


async def test_a_source_that_forgot_or_fails_is_held_against_nothing(meter: Meter, metrics: FakeMetrics) -> None:
    """The built-in scraper of a new process remembers nothing."""
    evidence = Evidence().add(Block(15.0, {"errors": REQUESTS}, 1)).add(Block(30.0, {"errors": REQUESTS}, 1))
    state = State("r", evidence=evidence)
    assert await meter.differing(meter.plan.phases[1], state) is None
    metrics.fails = "away"
    assert await meter.differing(meter.plan.phases[1], state) is None
