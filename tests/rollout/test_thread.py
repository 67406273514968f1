"""The rollout's thread: what it is told, by every process that takes part, and that nothing ever waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from canary.errors import CredentialError, VaultError
from canary.guard import Guard
from canary.ports import Receipt
from canary.rollout import events as e
from canary.rollout.posting import post_to_thread
from canary.rollout.state import State
from canary.rollout.thread import line
from canary.tasks import reporting
from canary.testing.fakes import FakeNotifier


class NeverAnswers(FakeNotifier):
    """A route that takes what it is told and never says so."""

    clock: Any

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        await self.clock.sleep(1e7)
        raise AssertionError

    async def page(self, incident: str, summary: str) -> Receipt:
        return await self.post(incident, summary)


class Slow(FakeNotifier):
    """A route that takes a second and a half for each message."""

    clock: Any

    async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
        await self.clock.sleep(1.5)
        return await super().post(thread, message, ref, mentions)


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setattr("canary.rollout.conducting.holder", lambda: name)


def told(world: Any) -> list[str]:
    return [message for _, message in world.updates.posts]


# --- what is told -------------------------------------------------------------------------------------------


async def test_a_promotion_line_by_line(world: Any, ended: Any) -> None:
    """Who starts what, the phases, who is asked until when and how, verdicts with their numbers, the end: one line
    each, and nothing of the forty minutes in between."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    lines = told(world)
    assert lines[:8] == [
        "shop 1.0.0 → 2.0.0 started by Ann, plan spring: staging 0% → canary 10% → full 100%",
        "phase staging started",
        "staging passed: 1 checks passed in 3 rounds",
        "phase canary started",
        "canary waits for the go-live by owner and lead, until 15 Jan 09:10 UTC: "
        "canary approve r1 --role ROLE --reason …",
        "approved by owner as owner (a test, identity unproven)",
        "approved by lead as lead (a test, identity unproven)",
        "canary: every target shows 10% of users on 2.0.0",
    ]
    assert lines[8].startswith("canary: UNDECIDED, errors: 0 of 300 canary requests bad (0 %)")
    assert "PASS, all 2 rules hold: errors: 0 of 1," in lines[9]
    assert "'< 1%' is shown" in lines[9]
    assert lines[10].startswith("canary passed: all 2 rules hold: errors: 0 of 3")
    assert lines[11:] == [
        "phase full started",
        "full: every target shows 100% of users on 2.0.0",
        "PROMOTED after 40m1s: everybody is on shop 2.0.0",
    ]
    assert not any("\n" in message for message in lines)


async def test_a_rollback_line_by_line(world: Any, ended: Any) -> None:
    """From where to where, why with its numbers, and how many requests it cost."""
    task = world.start()
    await world.in_canary()
    world.metrics.bad = 0.5
    await ended(task)
    why = "errors: 150 of 600 canary requests bad (25 %), surely 15 % to 40 %; '< 1%' is shown to be broken"
    assert told(world)[-2:] == [
        f"ROLLING BACK from canary to 1.0.0: {why}",
        f"ROLLED BACK, seen on every target 0s after it began; users met 150 bad requests: {why}",
    ]


async def test_a_hold_says_what_can_be_done_until_when(world: Any, ended: Any, person: Any) -> None:
    """Phase, exposure, reason, deadline, and the commands."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    await world.says(e.AbortAsked(**person("Olga", "enough")))
    await ended(task)
    held = next(message for message in told(world) if message.startswith("HELD"))
    assert held.startswith("HELD in canary at 10%: undecided after canary: errors: 0 of 48 canary requests bad (0 %)")
    assert held.endswith("Decide until 15 Jan 10:50 UTC, or it rolls back: canary promote, resume, extend or abort r1")
    assert "abort asked by Olga: enough" in told(world)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (e.PrepareObserved(target="api", ready=True, detail="2.0.0"), None),
        (e.PrepareObserved(target="api", ready=False, detail="crashed"), "api: candidate is not ready (crashed)"),
        (e.ChecksLooked(phase="staging", round=2, passed=3, failed=()), None),
        (e.ChecksLooked(phase="s", round=2, passed=1, failed=("home",)), "s: round 2, 1 checks passed, failed: home"),
        (e.Sampled(block={}), None),
        (e.Paged(incident="r1:hold", summary="held", receipts=()), None),
        (e.ThreadStarted(route="slack/sre", ref="C1:1.1"), None),
        (e.Reviewed(offset=0.0, lines=("a", "b")), "review at full exposure: a · b"),
        (e.Reviewed(offset=86_400.0, lines=("a", "b")), "review 24h after full exposure: a · b"),
        (e.RolloutEnded(outcome="refused", phase="preflight", reason="no", verified=True), "REFUSED: no"),
    ],
)
def test_what_only_a_log_needs_is_not_told(event: e.Event, words: str | None) -> None:
    """What went well in passing is left out; what went wrong is not."""
    assert line(State("r1"), event) == words


async def test_an_approval_mentions_whoever_is_asked(world: Any, ended: Any) -> None:
    """By the Slack ids that the plan has, each person once; who has none is named by role; nothing else mentions."""
    world.document["roles"]["owner"]["slack"] = "U0OLGA"
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    asked = next(message for message in told(world) if "waits for the go-live" in message)
    assert world.updates.mentions == {asked: ("U0OLGA",)}
    assert "by owner and lead" in asked


async def test_who_has_two_roles_is_mentioned_once(world: Any, ended: Any) -> None:
    """Once is enough."""
    for role in world.document["roles"].values():
        role["slack"] = "U0OLGA"
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    assert list(world.updates.mentions.values()) == [("U0OLGA",)]


@pytest.mark.parametrize("asleep", [True, False])
async def test_a_page_route_that_wakes_nobody_is_refused_at_preflight(world: Any, asleep: bool) -> None:
    """Its block and field are named, and nothing was touched; for updates the same block would do."""
    world.updates.asleep, world.oncall.asleep = True, asleep
    refused = pytest.raises(CredentialError, match="block fake/local, field oncall: a page would wake nobody")
    await world.begin()
    with refused if asleep else contextlib.nullcontext():
        async with world.conductor():
            pass
    assert ("preflight_passed" in await world.types()) is not asleep


# --- one thread ---------------------------------------------------------------------------------------------


async def test_a_second_conductor_goes_on_in_the_same_thread(world: Any, ended: Any, another_process: Any) -> None:
    """Killed in the canary; the next process finds the thread in the journal, says that it goes on, and ends there."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    before = len(told(world))
    world.updates.refs.append("a thread of another rollout")
    await world.clock.sleep(21)
    another_process("second")
    assert (await ended(world.start())).ended.outcome == "promoted"
    assert told(world)[before] == "another conductor goes on from the journal (epoch 2), in canary at 10%"
    assert set(world.updates.refs) - {"a thread of another rollout"} == {"thread-1"}
    assert (await world.types()).count("thread_started") == 1
    assert (await world.state()).threads == {"terminal/all": "thread-1"}


async def test_the_guard_goes_on_in_the_same_thread(world: Any, another_process: Any) -> None:
    """What a dead conductor left is brought back where everybody reads."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    another_process("guard")
    await world.clock.sleep(26)
    await Guard(world.stores, world.opener).look()
    assert set(world.updates.refs) == {"thread-1"}
    assert told(world)[-1].startswith("ROLLED BACK")


async def test_a_review_a_day_later_goes_on_in_the_same_thread(world: Any, ended: Any) -> None:
    """By a process that conducts nothing, with the sealed credentials."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    await world.clock.sleep(86_400)
    await post_to_thread(world.stores, world.opener, "r1", "review 24h after full exposure: fine")
    assert world.updates.posts[-1] == ("r1", "review 24h after full exposure: fine")
    assert set(world.updates.refs) == {"thread-1"}


async def test_a_review_begins_a_thread_where_there_is_none(world: Any, ended: Any) -> None:
    """The route was down for the whole rollout: the next review finds the first one's thread."""
    world.updates.down = True
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    world.updates.down = False
    for message in ("one", "two"):
        await post_to_thread(world.stores, world.opener, "r1", message)
    assert world.updates.refs == ["thread-1"] * 2
    assert (await world.state()).threads == {"terminal/all": "thread-1"}


@pytest.mark.parametrize("reached", [True, False])
async def test_a_report_is_told_once_and_journaled_whoever_hears_it(
    world: Any, ended: Any, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    """Asked for again it is the same, and the thread hears it once; a route that cannot be opened costs no report."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    before = len(told(world))
    if reached:
        monkeypatch.setattr(reporting, "OPENER", world.opener)
    first, second = [await reporting.report.fn(world.stores, "r1", 86_400.0) for _ in range(2)]
    assert first == second == (await world.state()).reviewed[86_400.0]
    assert told(world)[before:] == ([f"review 24h after full exposure: {' · '.join(first)}"] if reached else [])


async def test_a_review_without_credentials_says_so(world: Any, ended: Any) -> None:
    """After the last review they are dropped: nothing is opened."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    await world.vault.drop("r1")
    with pytest.raises(VaultError):
        await post_to_thread(world.stores, world.opener, "r1", "late")


# --- nothing waits ------------------------------------------------------------------------------------------


async def test_how_it_ended_is_told_by_a_slow_route_too(world: Any, ended: Any) -> None:
    """Nobody waits for the lease of a rollout that has ended: its last lines get their time."""
    world.updates = Slow("terminal/all")
    world.updates.clock = world.clock
    task = world.start()
    await world.approve("owner", "lead")
    state = await ended(task)
    assert told(world)[-1].startswith("PROMOTED")
    assert world.clock.now() - state.ended_at < 7.0


@pytest.mark.parametrize("silent", [False, True], ids=["answers", "never answers"])
async def test_exposure_0_never_waits_for_people_to_be_told(make_world: Any, ended: Any, silent: bool) -> None:
    """From the FAIL to exposure 0 it takes the same instant, whether the routes answer at once or never."""
    world = make_world()
    if silent:
        world.updates, world.oncall = NeverAnswers("terminal/all"), NeverAnswers("terminal/oncall")
        world.updates.clock = world.oncall.clock = world.clock
    task = world.start()
    await world.in_canary()
    world.metrics.bad = 0.5
    await ended(task)
    failed = next(x.at for x in await world.lines() if x.type == "judged" and x.data["verdict"]["outcome"] == "FAIL")
    lowered = [platform.sent[-1] for platform in world.platforms.values()]
    assert [(sent.share, sent.at - failed) for sent in lowered] == [(0.0, 0.0)] * 2
