"""After full exposure: the audit event, the baseline, the drafts and the announcement, each once and measured."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from dataclasses import replace
from typing import Any

import pytest

from canary.ports import NewEntry
from canary.review.audit import audit_event
from canary.rollout import events as e
from canary.rollout.former import former_baseline
from canary.rollout.state import State

# The package shows the flow of that name; the module is behind it.
flow = importlib.import_module("canary.flows.rollout")

CLOSING = {
    "phases.2.then": ["audit", "baseline", "docs", "announce"],
    "audit": {"error_rate_percent": {"signal": "errors", "shows": "share", "in": "percent"}},
    "announce": {"says": "It is live", "links": {"Guide": "https://docs.test/g"}, "feedback": "https://forms.test/f"},
    "features": {"search": {"flag": "SEARCH"}, "export": {"flag": "EXPORT"}},
}


@pytest.fixture
def closing(make_world: Any) -> Any:
    """A world whose plan closes with all four steps."""
    return make_world(CLOSING)


async def test_the_steps_are_done_in_the_plans_order_before_the_end(closing: Any) -> None:
    """Each once, after full exposure was seen and before the rollout ends."""
    done = await closing.closings()
    assert list(done) == ["audit", "baseline", "docs", "announce"]
    assert all(event.ok for event in done.values())
    types = await closing.types()
    assert types.index("closing_done") > types.index("phase_passed")
    assert types.index("rollout_ended") > max(i for i, kind in enumerate(types) if kind == "closing_done")


async def test_the_audit_event_has_the_runbooks_keys_and_measured_values(closing: Any) -> None:
    """Type from the plan's name, RFC 3339 in UTC, the canary's minutes, what was measured, the plan's features."""
    closing.metrics.bad = 0.004
    event = (await closing.closings())["audit"].data
    assert set(event) == {"type", "timestamp", "details"}
    assert event["type"] == "spring_rollout_complete"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["timestamp"])
    assert set(event["details"]) == {"canary_duration_minutes", "success_metrics", "features_deployed"}
    assert event["details"]["canary_duration_minutes"] == pytest.approx(30, abs=1)
    assert event["details"]["success_metrics"] == {"error_rate_percent": pytest.approx(0.4, abs=0.01)}
    assert event["details"]["features_deployed"] == ["search", "export"]
    assert json.loads(closing.shelf.documents["r1", "audit.json"]) == event


async def test_a_feature_that_was_switched_off_is_not_deployed(closing: Any) -> None:
    """The audit event names it apart; without one it has no such key."""
    off = replace(State("r1"), features_off=("export",))
    details = audit_event(closing.plan, off, 0.0)["details"]
    assert details["features_deployed"] == ["search"]
    assert details["features_switched_off"] == ["export"]


async def test_what_was_not_measured_is_said_and_not_invented(make_world: Any) -> None:
    """A quantile of a counter's rollout that never matched: null in the event, and the step says so."""
    lost = {"lost_p95_ms": {"signal": "lost", "shows": "p95", "in": "ms"}}
    world = make_world({**CLOSING, "signals.lost": {"histogram": "lost_seconds"}, "audit": lost})
    read = world.metrics.read

    async def without(signals: Any, *rest: Any) -> Any:
        return await read({name: signal for name, signal in signals.items() if name != "lost"}, *rest)

    world.metrics.read = without
    audit = (await world.closings())["audit"]
    assert audit.data["details"]["success_metrics"]["lost_p95_ms"] is None
    assert "not measured: lost_p95_ms" in audit.detail
    assert not audit.ok


async def test_the_baseline_is_found_by_the_next_rollout(closing: Any) -> None:
    """Recorded with the version and its figures; the next preflight of the service journals it as the former one."""
    closing.metrics.bad = 0.002
    recorded = e.Baseline.model_validate((await closing.closings())["baseline"].data)
    assert recorded.version == "2.0.0"
    assert recorded.figures["errors"]["share"] == pytest.approx(0.002, abs=0.0005)
    assert await former_baseline(closing.journal, "shop") == recorded
    assert await former_baseline(closing.journal, "another") is None


async def test_the_drafts_are_rendered_from_the_journal(closing: Any) -> None:
    """Three files, their hashes journaled: versions, people, figures and what happened stand in them."""
    data = (await closing.closings())["docs"].data
    assert set(data) == {"deploy-guide.md", "training.md", "lessons.md"}
    guide, training, lessons = (closing.shelf.documents["r1", name] for name in data)
    assert "replaced 1.0.0" in guide
    assert "| canary | 10% | 30m | yes |" in guide
    assert "errors share" in guide
    assert "## Search" in training
    assert "https://forms.test/f" in training
    assert "every target shows exposure 10%" in lessons
    assert all("None" not in text and "{{" not in text for text in (guide, training, lessons))


async def test_the_announcement_has_links_and_the_way_to_say_something_back(closing: Any) -> None:
    """On every route for updates: what is live, where to read on, where to say what one thinks."""
    await closing.closings()
    (message,) = [text for _, text in closing.updates.posts if "It is live" in text]
    assert message == "It is live\nGuide: https://docs.test/g\nSay what you think: https://forms.test/f"


async def test_a_step_that_fails_holds_nothing_up(closing: Any) -> None:
    """A full disk and a notifier that is down: both said in the journal, and the rollout is promoted."""
    closing.shelf.full = True
    closing.updates.down = True
    done = await closing.closings()
    assert not done["audit"].ok
    assert "No space left" in done["audit"].detail
    assert "unconfirmed" in done["announce"].detail


async def test_an_abort_during_the_closing_still_counts(closing: Any, ended: Any, person: Any) -> None:
    """At full exposure, while documents are written: everybody goes back, and no further step is done."""

    class Slow:
        async def put(self, rollout: str, name: str, text: str) -> str:
            await closing.clock.sleep(30)
            return name

    closing.shelf = Slow()
    task = closing.start()
    await closing.approve("owner", "lead")
    await closing.until(lambda s: "full" in s.passed)
    await closing.says(e.AbortAsked(**person("Olga", "customers call")))
    state = await ended(task)
    assert (state.ended.outcome, closing.shares()) == ("rolled_back", [0.0, 0.0])
    assert state.closed == {}


async def test_another_rollouts_unreadable_journal_stops_nobody(closing: Any) -> None:
    """A line of another version: the baseline that can be read is found all the same."""
    await closing.closings()
    await closing.journal.append("r9", 0, [NewEntry(closing.clock.now(), "of_another_version", {})])
    found = await former_baseline(closing.journal, "shop")
    assert found is not None
    assert found.version == "2.0.0"


async def test_the_closing_needs_no_prefect(closing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect breaks at the first step: nobody is taken off the candidate, and every step is done all the same."""

    async def broken(*_: Any) -> bool:
        raise RuntimeError("the Prefect API is away")

    monkeypatch.setattr(flow.closing, "step", broken)
    monkeypatch.setattr(flow, "get_run_logger", lambda: logging.getLogger("test"))
    await closing.begin()
    approving = asyncio.create_task(closing.approve("owner", "lead"))
    async with closing.conductor() as (_, conductor):
        for phase in conductor.plan.phases:
            await conductor.await_approval(phase.name)
            await conductor.run_phase(phase.name)
        assert await flow._closing(conductor)
        await conductor.promote()
    await approving
    state = await closing.state()
    assert (state.ended.outcome, list(state.closed)) == ("promoted", ["audit", "baseline", "docs", "announce"])
    assert closing.shares() == [1.0, 1.0]
