"""The view of a rollout: what a person is told of it, for every place a rollout may be in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.rollout import events as e
from canary.rollout.halts import Rollback
from canary.rollout.history import History, Story, begin_story, read_on, remember
from canary.rollout.numbers import BARS, GAP, clock_seconds, number, spark
from canary.rollout.state import State
from canary.rollout.view import Left, View, standing, view

VALUES = st.lists(st.none() | st.floats(0, 1e9), max_size=200)


async def seen(world: Any) -> View:
    """The view of the journal as it is now."""
    return view(await begin_story(world.journal, "r1"), world.plan, world.clock.now())


async def test_staging_shows_its_checks_and_the_time_left(world: Any, ended: Any) -> None:
    """Nobody is on the candidate: checks with their details, targets at 0, no verdict."""
    task = world.start()
    await world.until(lambda s: s.looks.round > 0)
    told = await seen(world)
    assert (told.standing, told.phase, told.judged, told.verdict) == ("checking", "staging", "staging", "")
    assert [(row.kind, row.rule, row.verdict) for row in told.rules] == [("check", "home", "passed")]
    assert told.left is not None
    assert (told.left.of, told.left.seconds) == ("soak", pytest.approx(600, abs=5))
    assert [(row.name, row.asked) for row in told.targets] == [("api", 0.0), ("web", 0.0)]
    await world.says(e.AbortAsked(by="Ann", how="a test", reason="enough"))
    await ended(task)


async def test_an_approval_shows_who_has_said_yes_and_who_is_waited_for(world: Any, ended: Any) -> None:
    """Given and missing, how each person was identified, and until when."""
    task = world.start()
    await world.approve("owner")
    told = await seen(world)
    assert told.standing == "awaiting approval"
    assert [(yes.role, yes.how, yes.proven) for yes in told.approvals] == [("owner", "a test", False)]
    assert told.waits_for == ("lead",)
    assert told.left is not None
    assert told.left.of == "approval"
    await world.says(e.ApprovalRejected(role="lead", by="Lars", how="a test", reason="no"))
    state = await ended(task)
    told = await seen(world)
    assert (told.standing, told.left, told.waits_for) == ("rolled back", None, ())
    assert told.why == state.rollback.reason


async def test_a_canary_shows_each_rule_over_time(world: Any, ended: Any) -> None:
    """One bar a verdict; approvals stay shown after their phase has begun, and after the end."""
    task = world.start()
    await world.in_canary()
    await world.clock.sleep(600)
    told = await seen(world)
    judged = [line for line in await world.lines() if line.type == "judged"]
    assert [row.kind for row in told.rules] == ["criterion", "guard"]
    assert {len(row.over_time) for row in told.rules} == {len(judged)}
    assert [(row.asked, row.observed) for row in told.targets] == [(0.1, 0.1), (0.1, 0.1)]
    await ended(task)
    told = await seen(world)
    assert (told.standing, told.phase, told.judged) == ("promoted", "full", "canary")
    assert [yes.role for yes in told.approvals] == ["owner", "lead"]
    assert told.said.startswith("promoted")


async def test_a_flag_is_asked_for_all_or_nothing(make_world: Any, ended: Any) -> None:
    """It cannot show 10 %: on is what it was asked for, and what the others were asked for is theirs."""
    flag = {"use": "flags/shop", "set": {"new": True}, "read_by": ["api", "web"]}
    world = make_world({"targets.flag": flag})
    task = world.start()
    await world.in_canary()
    told = await seen(world)
    assert [(row.name, row.asked, row.observed) for row in told.targets] == [
        ("api", 0.1, 0.1),
        ("web", 0.1, 0.1),
        ("flag", 1.0, 1.0),
    ]
    assert view(await begin_story(world.journal, "r1"), None, 0.0).targets[2].asked == 0.1
    await world.says(e.AbortAsked(by="Ann", how="a test", reason="enough"))
    await ended(task)
    assert {row.asked for row in (await seen(world)).targets} == {0.0}


async def test_a_hold_shows_why_and_its_end(world: Any, person: Any, ended: Any) -> None:
    """A person must decide: the reason, and the time until it rolls back."""
    task = world.start()
    await world.in_canary()
    await world.says(e.HoldAsked(**person()))
    await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    told = await seen(world)
    assert (told.standing, told.hold) == ("held", "Olga: because")
    assert told.left is not None
    assert (told.left.of, told.left.seconds) == ("hold", pytest.approx(7200, abs=30))
    await world.says(e.AbortAsked(**person()))
    await ended(task)
    assert (await seen(world)).hold is None


async def test_a_story_read_in_two_parts_is_the_same_story(world: Any, ended: Any) -> None:
    """Whoever watches sees what somebody sees who looks once at the end."""
    task = world.start()
    await world.in_canary()
    half = await begin_story(world.journal, "r1")
    await ended(task)
    whole = await begin_story(world.journal, "r1")
    assert await read_on(world.journal, half) == whole
    assert whole.history.said_at == (await world.lines())[-1].at


async def test_a_soak_that_starts_anew_forgets_the_values_of_the_former(world: Any, person: Any, ended: Any) -> None:
    """After a hold that is resumed the evidence is fresh, and so is its course."""
    task = world.start()
    await world.in_canary()
    await world.clock.sleep(600)
    before = (await seen(world)).rules[0].over_time
    await world.says(e.HoldAsked(**person()))
    await world.until(lambda s: s.hold is not None)
    await world.says(e.ResumeAsked(**person()))
    await world.until(lambda s: s.hold is None and s.soaking == "canary" and s.verdict is not None)
    assert len((await seen(world)).rules[0].over_time) < len(before)
    await world.says(e.AbortAsked(**person()))
    await ended(task)


async def test_a_role_that_says_yes_twice_is_shown_once(world: Any, ended: Any) -> None:
    """As the state counts it: the newest."""
    task = world.start()
    await world.approve("owner", "owner")
    assert [yes.role for yes in (await seen(world)).approvals] == ["owner"]
    await world.says(e.ApprovalRejected(role="lead", by="Lars", how="a test", reason="no"))
    await ended(task)


def test_an_approval_for_other_evidence_is_no_yes() -> None:
    """Only what counted is shown: a yes to something else is in the journal, and not here."""
    yes = e.ApprovalGiven(role="owner", by="Olga", how="x", reason="r", subject="old")
    assert remember(History(), State("r1"), yes, 1.0).approvals == ()


def test_a_rollback_has_until_its_limit_by_the_clock(make_world: Any) -> None:
    """`rollback.within` is real time whatever the plan's pace; nothing is left without the plan, or once verified."""
    plan, started = make_world({"time_scale": 10}).plan, Rollback("fail", "why", 100.0)
    back = State("r1", phase="canary", rollback=started)
    assert view(Story(back), plan, 150.0).left == Left("rollback", 400.0, 250.0, None)
    assert view(Story(back), None, 150.0).left is None
    verified = replace(back, rollback=replace(started, verified=True))
    assert view(Story(verified), plan, 150.0).left is None


@pytest.mark.parametrize(
    ("rollback", "outcome", "word"),
    [
        (Rollback("fail", "why", 1.0), None, "rolling back"),
        (Rollback("fail", "why", 1.0, unverified_at=2.0), None, "unverified"),
        (Rollback("fail", "why", 1.0, verified=True, unverified_at=2.0), None, "rolling back"),
        (Rollback("fail", "why", 1.0, verified=True), "rolled_back", "rolled back"),
        (None, "unverified", "unverified"),
        (None, "refused", "refused"),
        (None, "promoted", "promoted"),
        (None, None, "preflight"),
    ],
)
def test_what_is_not_verified_is_never_called_rolled_back(rollback: Any, outcome: Any, word: str) -> None:
    """The word for the way back and for each end."""
    ended = e.RolloutEnded(outcome=outcome, phase="", reason="r", verified=False) if outcome else None
    assert standing(State("r1", rollback=rollback, ended=ended)) == word


@given(VALUES)
def test_a_line_of_bars_is_never_longer_than_asked_and_has_gaps_only_for_nothing(values: list[float | None]) -> None:
    """One bar a value while they fit; the highest value is always the highest bar."""
    line = spark(values, 16)
    assert len(line) == min(16, len(values))
    assert set(line) <= {*BARS, GAP}
    known = [value for value in values if value is not None]
    assert (set(line) <= {GAP}) == (not known)
    if known and max(known) > 0:
        assert BARS[-1] in line


def test_a_spike_is_not_averaged_away() -> None:
    """One bad moment among a thousand good ones is seen."""
    assert spark([0.0] * 537 + [1.0] + [None, 0.0] * 230, 10).count(BARS[-1]) == 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(None, "share", "–"), (0.01234, "share", "1.23%"), (0.2, "seconds", "200 ms"), (1234.0, "events", "1,234")],
)
def test_a_value_is_written_with_its_unit(value: float | None, unit: str, text: str) -> None:
    """As the limits are written in a plan; an unknown value is a dash and not 0."""
    assert number(value, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "0:00"), (59.6, "1:00"), (75.4, "1:15"), (3700.0, "1:01:40")])
def test_a_duration_is_written_as_a_clock_shows_it(seconds: float, text: str) -> None:
    """To the second; what is over is 0:00."""
    assert clock_seconds(seconds) == text
