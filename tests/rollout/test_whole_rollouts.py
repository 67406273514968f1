"""Whole rollouts on fakes, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from canary.errors import BadUsage
from canary.rollout import events as e


def outcome(state: Any) -> str:
    return state.ended.outcome if state.ended else "not ended"


async def test_a_good_candidate_is_promoted(world: Any, ended: Any) -> None:
    """Staging, two approvals, canary and full: everybody is on the candidate, after 10 % of users had judged it."""
    task = world.start()
    await world.approve("owner", "lead")
    state = await ended(task)
    assert outcome(state) == "promoted"
    assert state.passed == ("staging", "canary", "full")
    assert world.shares() == [1.0, 1.0]
    assert world.sent() == [0.1, 1.0]
    assert not await world.journal.locks()
    assert list(state.reviews) == [86_400.0, 172_800.0]


async def test_a_failing_canary_is_lowered_before_its_phase_returns(world: Any, ended: Any, person: Any) -> None:
    """The FAIL, the start of the rollback and the intent stand in one piece in the journal; exposure 0 follows at
    once, its observation after it, and the rollback is verified."""
    task = world.start()
    await world.in_canary()
    world.metrics.bad = 0.5
    state = await ended(task)
    assert outcome(state) == "rolled_back"
    assert state.ended.verified
    assert world.shares() == [0.0, 0.0]
    lines = [line for line in await world.lines() if line.type not in ("sampled", "paged")]
    at = next(i for i, line in enumerate(lines) if line.type == "rollback_started")
    kinds = [line.type for line in lines[at - 1 : at + 3]]
    assert kinds == ["judged", "rollback_started", "exposure_intended", "exposure_observed"]
    assert world.platforms["api"].sent[-1].at >= lines[at + 1].at
    assert world.platforms["api"].sent[-1].at - lines[at - 1].at < 1.0


async def test_every_raise_is_journaled_before_it_is_sent(world: Any, ended: Any) -> None:
    """No target is asked for a share above 0 that an earlier line does not intend, and what it shows comes after."""
    task = world.start()
    await world.approve("owner", "lead")
    await ended(task)
    lines = await world.lines()
    for sent in world.platforms["web"].sent:
        intents = [n for n, x in enumerate(lines) if x.type == "exposure_intended" and x.data["share"] == sent.share]
        seen = [n for n, x in enumerate(lines) if x.type == "exposure_observed" and x.data["share"] == sent.share]
        assert lines[intents[0]].at <= sent.at <= lines[seen[0]].at
        assert intents[0] < seen[0]


async def test_phase_returns_with_exposure_0_sent(world: Any) -> None:
    """When run_phase returns after a FAIL, nobody is on the candidate: the rollback subflow only completes it."""
    await world.begin()
    approving = asyncio.create_task(world.approve("owner", "lead"))
    async with world.conductor() as (_, conductor):
        await conductor.run_phase("staging")
        await conductor.await_approval("canary")
        world.metrics.bad = 0.5
        await conductor.run_phase("canary")
        assert world.shares() == [0.0, 0.0]
        assert world.sent() == [0.1, 0.0]
    await approving


@pytest.mark.parametrize("where", ["staging", "approval", "soak", "hanging read", "hold"])
async def test_an_abort_takes_everybody_back(world: Any, ended: Any, person: Any, where: str) -> None:
    """At any time an abort ends in exposure 0, sent within two seconds, and it counts for ever."""
    task = world.start()
    await world.until(lambda s: s.soaking == "staging")
    if where == "approval":
        await world.until(lambda s: s.approval is not None)
    elif where != "staging":
        await world.in_canary()
    if where == "hanging read":
        world.metrics.hangs = True
        await world.clock.sleep(16)
    if where == "hold":
        await world.says(e.HoldAsked(**person()))
        await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    await world.says(e.AbortAsked(**person()))
    asked = world.clock.now()
    state = await ended(task)
    assert outcome(state) == "rolled_back"
    assert state.rollback.cause == "abort"
    assert world.platforms["api"].sent[-1].share == 0.0
    assert world.platforms["api"].sent[-1].at - asked < 2.0
    assert "phase_passed" not in (await world.types())[-6:]


async def test_an_abort_between_two_targets_stops_the_second_raise(world: Any, ended: Any, person: Any) -> None:
    """An abort that is journaled while the first target is being raised keeps the second from ever being asked."""
    task = world.start()
    world.platforms["api"].delay = 4.0
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    await world.clock.sleep(1)
    await world.says(e.AbortAsked(**person()))
    assert outcome(await ended(task)) == "rolled_back"
    assert [sent.share for sent in world.platforms["web"].sent if sent.share > 0] == []
    assert world.shares() == [0.0, 0.0]


async def test_an_abort_is_seen_while_the_platform_prepares_for_ever(world: Any, ended: Any, person: Any) -> None:
    """A prepare that does not answer does not keep an abort from being carried out."""
    world.metrics.rate = 0.0

    async def never(release: Any) -> None:
        await world.clock.sleep(1e6)

    task = world.start()
    platform = world.platforms["api"]
    platform_reached = type(platform).reached
    await world.until(lambda s: bool(s.release))
    hanging = asyncio.Event()

    async def hang(self: Any) -> None:
        if self is platform and not hanging.is_set():
            await world.clock.sleep(1e6)
        await platform_reached(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(platform), "reached", hang)
        await world.clock.sleep(5)
        hanging.set()
        await world.says(e.AbortAsked(**person()))
        assert outcome(await ended(task)) == "rolled_back"
    assert world.clock.monotonic() < 600


async def test_a_rejection_ends_it_without_a_user_exposed(world: Any, ended: Any, person: Any) -> None:
    """One no is enough: exposure 0 is verified, and no raise was ever sent."""
    task = world.start()
    await world.approve("owner")
    await world.says(e.ApprovalRejected(role="lead", **person()))
    state = await ended(task)
    assert (outcome(state), state.rollback.cause) == ("rolled_back", "approval")
    assert max(world.sent()) == 0.0


@pytest.mark.parametrize("given", [(), ("owner",)])
async def test_an_approval_that_is_not_complete_in_time_expires(world: Any, ended: Any, given: Any) -> None:
    """Nobody, or one role of two, is not enough: at the deadline it rolls back, an hour of plan time after asking."""
    task = world.start()
    await world.approve(*given)
    asked = (await world.state()).approval.due - 3600
    state = await ended(task)
    assert state.rollback.cause == "approval"
    assert state.rollback.started_at - asked == pytest.approx(3600, abs=2)
    assert max(world.sent()) == 0.0


async def test_an_approval_of_something_else_does_not_count(world: Any, ended: Any) -> None:
    """An approval of another subject is refused; one that stands in the journal all the same leaves the role open."""
    task = world.start()
    await world.approve("lead")
    with pytest.raises(BadUsage, match="other evidence"):
        await world.approve("owner", subject="something else")
    stale = e.ApprovalGiven(role="owner", subject="something else", by="Olga", how="a test", reason="fine")
    await world.journal.append("r1", (await world.state()).seq, [stale.entry(world.clock.now())])
    assert (await ended(task)).rollback.cause == "approval"


async def test_a_failed_staging_check_exposes_nobody(world: Any, ended: Any) -> None:
    """Three rounds in a row with a failed check end staging; no raise was ever sent, and the reason says why."""
    world.probe.answers.clear()
    state = await ended(world.start())
    assert (outcome(state), state.rollback.cause) == ("rolled_back", "staging")
    assert "home" in state.ended.reason
    assert max(world.sent()) == 0.0


async def test_an_unhealthy_candidate_exposes_nobody(world: Any, ended: Any) -> None:
    """A candidate that never becomes ready ends the rollout in staging."""
    world.platforms["web"].candidate_dead = True
    state = await ended(world.start())
    assert (outcome(state), state.rollback.cause) == ("rolled_back", "staging")
    assert max(world.sent()) == 0.0


async def test_a_refused_weight_is_undone_everywhere(world: Any, ended: Any) -> None:
    """The second target refuses: three tries, then the first one, which took it, is back at 0 as well."""
    task = world.start()
    await world.until(lambda s: s.approval is not None)
    world.platforms["web"].refuses = "quota"
    await world.approve("owner", "lead")
    await world.until(lambda s: s.rollback is not None)
    world.platforms["web"].refuses = ""
    state = await ended(task)
    assert (outcome(state), state.rollback.cause) == ("rolled_back", "platform")
    assert world.sent()[:3] == [0.1, 0.1, 0.1]
    assert world.shares() == [0.0, 0.0]


async def test_a_lost_answer_is_observed_and_goes_on(world: Any, ended: Any) -> None:
    """The weight took effect and only its answer was lost: what the target shows decides, not the answer."""
    task = world.start()
    await world.until(lambda s: s.approval is not None)
    world.platforms["web"].lose_answers = 1
    await world.approve("owner", "lead")
    assert outcome(await ended(task)) == "promoted"


async def test_a_target_that_publishes_late_is_waited_for(world: Any, ended: Any) -> None:
    """A target that shows a change only after 5 s, the slowest published rate, is no reason to roll back."""
    task = world.start()
    await world.until(lambda s: s.approval is not None)
    await world.approve("owner")
    world.platforms["web"].lie(5.0)
    await world.approve("lead")
    assert outcome(await ended(task)) == "promoted"


@pytest.mark.parametrize("by_hand", [0.6, 0.02])
async def test_a_change_by_hand_is_put_right(world: Any, ended: Any, by_hand: float) -> None:
    """Whether somebody moved it up or down: the phase's exposure is asked for again, by a journaled intent."""
    task = world.start()
    await world.in_canary()
    world.platforms["web"].change_by_hand(by_hand)
    before = len(world.platforms["web"].sent)
    changed = len(await world.lines())
    await world.until(lambda s: s.shown and s.targets["web"].observed == 0.1 and s.seq > changed + 2, 60)
    assert world.platforms["web"].share() == 0.1
    assert [sent.share for sent in world.platforms["web"].sent[before:]] == [0.1]
    kinds = [line.type for line in (await world.lines())[changed:]]
    assert kinds.index("exposure_drifted") < kinds.index("exposure_intended") < kinds.index("exposure_observed")
    assert outcome(await ended(task)) == "promoted"


async def test_a_rollback_that_cannot_be_seen_pages_and_goes_on(world: Any, ended: Any, person: Any) -> None:
    """A platform that does not answer within `rollback.within`: unverified, somebody is paged, and it is not ended."""
    task = world.start()
    await world.in_canary()
    world.platforms["web"].unreachable = True
    await world.says(e.AbortAsked(**person()))
    state = await ended(task)
    assert state.ended is None
    assert state.rollback.unverified_at is not None
    assert any("could not be verified" in summary for _, summary in world.oncall.pages)
    assert world.platforms["api"].share() == 0.0


async def test_telemetry_that_is_gone_is_no_evidence(world: Any, ended: Any) -> None:
    """Metrics that cannot be read hold the exposure till the deadline, and then it rolls back: no evidence."""
    task = world.start()
    since = await world.in_canary()
    world.metrics.fails = "connection refused"
    await world.clock.sleep(900)
    assert world.shares() == [0.1, 0.1]
    state = await ended(task)
    assert state.rollback.cause == "no evidence"
    assert state.rollback.started_at == pytest.approx(since.due, abs=20)
    assert (await world.types()).count("measurement_failed") == 1


async def test_telemetry_that_comes_back_in_time_counts(world: Any, ended: Any) -> None:
    """An outage in the middle of the soak is said once, and costs nothing when enough was measured."""
    task = world.start()
    await world.in_canary()
    world.metrics.fails = "connection refused"
    await world.clock.sleep(300)
    world.metrics.fails = ""
    assert outcome(await ended(task)) == "promoted"
    assert "measurement_back" in await world.types()


async def test_a_starved_canary_is_rolled_back(world: Any, ended: Any) -> None:
    """A canary that completes nothing has no errors, and fails all the same."""
    task = world.start()
    await world.in_canary()
    world.metrics.starves = True
    state = await ended(task)
    assert state.rollback.cause == "fail"
    assert world.shares() == [0.0, 0.0]


async def test_undecided_is_extended_once_then_held_then_rolled_back(world: Any, ended: Any) -> None:
    """Too few requests: ten minutes more, then a hold that pages, then the way back at the hold's end."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    state = await ended(task)
    kinds = await world.types()
    assert (kinds.count("phase_extended"), kinds.count("hold_started")) == (1, 1)
    assert state.rollback.cause == "undecided"
    assert any("held" in summary for _, summary in world.oncall.pages)


async def test_a_persons_extension_leaves_the_plans_own(world: Any, ended: Any, person: Any) -> None:
    """Somebody gave five minutes more: at the end of them the plan's own ten still come, and only then the hold."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.in_canary()
    await world.says(e.ExtendAsked(seconds=300.0, **person("Olga", "let it run")))
    await ended(task)
    extended = [line.data["due"] for line in await world.lines() if line.type == "phase_extended"]
    assert len(extended) == 2
    assert extended[1] == pytest.approx(extended[0] + 600, abs=20)


async def test_a_hold_pages_again_until_somebody_has_seen_it(world: Any, ended: Any, person: Any) -> None:
    """Every five minutes; after an acknowledgement no more."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    held = await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    await world.until(lambda s: world.clock.now() > held.hold.since + 1000)
    again = [summary for _, summary in world.oncall.pages if "still held" in summary]
    assert len(again) == 3
    await world.says(e.PageAcknowledged(**person("Olga", "seen")))
    await world.until(lambda s: world.clock.now() > held.hold.since + 3000)
    assert len([summary for _, summary in world.oncall.pages if "still held" in summary]) == 3
    await world.says(e.AbortAsked(**person("Olga", "enough")))
    assert outcome(await ended(task)) == "rolled_back"


async def test_a_named_person_may_override_a_hold(world: Any, ended: Any, person: Any) -> None:
    """Held for want of requests, promoted by a person with a reason: name and reason are journaled."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    await world.says(e.PromoteAsked(**person("Olga", "seen enough")))
    state = await ended(task)
    assert outcome(state) == "promoted"
    passed = [line.data for line in await world.lines() if line.type == "phase_passed"]
    assert (passed[1]["overridden_by"], passed[1]["reason"]) == ("Olga", "seen enough")


async def test_a_resumed_hold_starts_with_fresh_evidence(world: Any, ended: Any, person: Any) -> None:
    """Resume: the soak begins anew, for its whole time, and passes on what is measured from then on."""
    world.metrics.rate = 0.2
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.hold is not None and s.hold.until is not None)
    world.metrics.rate = 200.0
    await world.says(e.ResumeAsked(**person()))
    assert outcome(await ended(task)) == "promoted"
    soaks = [line for line in await world.lines() if line.type == "soak_started" and line.data["phase"] == "canary"]
    assert len(soaks) == 2
    assert soaks[1].data["due"] - soaks[1].at == 1800


async def test_a_flag_beside_a_fractional_target(make_world: Callable[..., Any], ended: Any) -> None:
    """A boolean flag is on from the first share and off after a rollback."""
    flag = {"use": "flags/shop", "set": {"SPRING": True}, "read_by": ["api"]}
    world = make_world({"targets.web": flag})
    task = world.start()
    await world.in_canary()
    assert world.shares() == [0.1, 1.0]
    world.metrics.bad = 0.5
    assert outcome(await ended(task)) == "rolled_back"
    assert world.shares() == [0.0, 0.0]


async def test_a_faster_clock_scales_plan_durations_only(make_world: Callable[..., Any], ended: Any) -> None:
    """time_scale 10: staging and canary take a tenth, and the lease is renewed as ever."""
    world = make_world({"time_scale": 10.0})
    task = world.start()
    await world.approve("owner", "lead")
    state = await ended(task)
    assert outcome(state) == "promoted"
    assert state.ended_at - state.started_at < 400


async def test_the_version_of_an_image_is_neither_its_name_nor_its_digest(world: Any) -> None:
    """What the baseline's metrics carry is the tag, when machines report an image with its digest."""
    for platform in world.platforms.values():
        platform.__init__(world.clock, "registry.example.com:5000/shop:1.0.0@sha256:0123abcd")
    task = world.start()
    state = await world.until(lambda s: bool(s.release))
    assert state.stable_version == "1.0.0"
    task.cancel()
