"""Dashboards and alert rules after full exposure, and the marks of each step: to a port, or left as files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.errors import CredentialError, Refused
from canary.testing.fakes import FakeDashboards

BOARDS = {
    "phases.2.then": ["dashboards", "alerts"],
    "dashboards": "grafana/shop",
    "signals.latency": {"histogram": "latency_seconds"},
    "alerts": {"critical": [{"errors": "any"}], "info": [{"latency": "> 20% over baseline"}]},
}


@pytest.fixture
def world(make_world: Any) -> Any:
    """A world whose plan keeps its dashboards in a block."""
    return make_world(BOARDS)


async def test_both_are_put_there_once(world: Any) -> None:
    """The dashboard shows both versions; the rules are the plan's but for comparisons, which are named."""
    done = await world.closings()
    (document,) = world.boards.documents
    shown = {v["name"]: v.get("current", {}).get("value") for v in document["templating"]["list"]}
    assert (shown["candidate"], shown["stable"]) == ("2.0.0", "1.0.0")
    assert {group: [rule.name for rule in rules] for group, rules in world.boards.rules.items()} == {
        "canary shop spring": ["shop errors any"]
    }
    assert [event.ok for event in done.values()] == [True, True]
    assert done["dashboards"].detail == "dashboard canary-spring kept"
    said = "1 alert rules kept; left out, since it compares with a baseline: latency > 20% over baseline"
    assert done["alerts"].detail == said
    assert world.shelf.documents == {}


async def test_without_a_block_they_are_left_as_files(make_world: Any) -> None:
    """A dashboard to be imported and a rule file, beside the rollout's other documents; no block is asked for."""
    world = make_world({**BOARDS, "dashboards": "files"})
    done = await world.closings()
    assert "grafana/shop" not in world.loaded
    assert json.loads(world.shelf.documents["r1", "dashboard.json"])["uid"] == "canary-spring"
    (group,) = YAML(typ="safe").load(world.shelf.documents["r1", "alerts.yaml"])["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["shop errors any"]
    assert done["dashboards"].detail.startswith("left as memory:r1/dashboard.json")


@pytest.mark.parametrize("fault", ["down", "hangs"])
async def test_dashboards_that_are_away_hold_nothing_up(world: Any, fault: str) -> None:
    """Both steps are given up with the reason, and the rollout is promoted."""
    task = world.start()
    await world.approve("owner", "lead")
    setattr(world.boards, fault, world.clock if fault == "hangs" else True)
    assert (await task).ended.outcome == "promoted"
    closed = (await world.state()).closed
    why = {"down": "the dashboards are away", "hangs": "no answer within 6 s"}[fault]
    assert [(step, done.ok, why in done.detail) for step, done in closed.items()] == [
        ("dashboards", False, True),
        ("alerts", False, True),
    ]


async def test_each_step_that_changes_what_users_get_is_marked(world: Any) -> None:
    """At its time, in the words of the thread, found by the service's and the rollout's tags."""
    await world.closings()
    texts = [text for text, _, _ in world.boards.marks]
    for expected in (
        "phase staging started",
        "phase canary started",
        "canary: every target shows 10% of users on 2.0.0",
    ):
        assert expected in texts
    assert texts[-1].startswith("PROMOTED")
    assert {tags for _, tags, _ in world.boards.marks} == {("prefect-canary", "shop", "spring", "r1")}
    times = [at for _, _, at in world.boards.marks]
    assert times == sorted(times)
    assert times[-1] <= world.clock.now()


async def test_a_rollback_is_marked(world: Any, ended: Any) -> None:
    """When it begins and when it is over."""
    task = world.start()
    await world.in_canary()
    world.metrics.bad = 0.5
    assert (await ended(task)).ended.outcome == "rolled_back"
    texts = [text for text, _, _ in world.boards.marks]
    assert texts[-2].startswith("ROLLING BACK from canary")
    assert texts[-1].startswith("ROLLED BACK")


async def test_marks_delay_nothing(make_world: Any, ended: Any) -> None:
    """With dashboards that answer never, a bad candidate is off as soon as without any, and people are told."""
    took: list[float] = []
    for hangs in (False, True):
        world = make_world(BOARDS)
        task = world.start()
        await world.in_canary()
        world.boards.hangs = world.clock if hangs else None
        world.metrics.bad, since = 0.5, world.clock.now()
        state = await world.until(lambda s: s.rollback is not None)
        took.append(state.rollback.started_at - since)
        assert (await ended(task)).ended.outcome == "rolled_back"
        assert any(text.startswith("ROLLED BACK") for _, text in world.updates.posts)
    assert took[0] == took[1]


async def test_preflight_asks_whether_it_may_write(world: Any) -> None:
    """A token that may only read is refused before anything is touched."""
    world.boards = FakeDashboards(reader=True)
    with pytest.raises(CredentialError, match="it may not write"):
        await world.conduct()
    world.boards = FakeDashboards(down=True)
    with pytest.raises(Refused, match="grafana/shop cannot be used: the dashboards are away"):
        async with world.conductor():
            pass
    assert world.sent() == []


async def test_a_mark_carries_the_time_of_what_it_tells(world: Any, ended: Any) -> None:
    """One that waited behind one that hung arrives later, at the moment it is about; the one that hung is lost."""
    task = world.start()
    await world.in_canary()
    before = len(world.boards.marks)
    world.boards.hangs = world.clock
    world.metrics.bad = 0.5
    await world.until(lambda s: s.rollback is not None)
    began = (await world.state()).rollback.started_at
    await world.clock.sleep(0.5)
    world.boards.hangs = None
    assert (await ended(task)).ended.outcome == "rolled_back"
    (late,) = world.boards.marks[before:]
    assert late[0].startswith("ROLLED BACK")
    assert began <= late[2] < began + 6.0
