"""What two processes, two targets or two lines do at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from canary.errors import BadUsage, Conflict, LeaseLost
from canary.guard import Guard
from canary.rollout import events as e
from canary.rollout.adapters import open_adapters
from canary.rollout.conducting import conducting, taking
from canary.rollout.record import SILENT_AFTER

HALF = {
    "name": "half",
    "for": "10m",
    "exposure": "50%",
    "approval": {"by": ["owner"], "within": "1h"},
    "criteria": [{"errors": "< 1%"}],
}


def slow_to_fail(world: Any) -> None:
    """While it is away, the journal takes two seconds to say so, as a database does."""
    for verb in ("append", "read", "renew", "yield_lease", "release"):

        def slowly(call: Callable[..., Any]) -> Callable[..., Any]:
            async def answer(*args: Any) -> Any:
                if world.journal.away:
                    await world.clock.sleep(2.0)
                return await call(*args)

            return answer

        setattr(world.journal, verb, slowly(getattr(world.journal, verb)))


async def drifted(world: Any) -> float:
    """When the first line says that a target does not show what it was asked for."""
    for _ in range(200):
        await world.clock.sleep(0.5)
        for line in await world.lines():
            if line.type == "exposure_drifted":
                return float(line.at)
    raise AssertionError("nobody noticed the drift")


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on, whoever takes a lock is another process."""
    return lambda: monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "another")


# --- the last moment ----------------------------------------------------------------------------------------


async def test_an_abort_in_the_last_moment_is_no_promotion(world: Any, ended: Any, person: Any) -> None:
    """Every phase has passed and the end is being written, when the abort stands before it: everybody goes back."""
    world.overtaken("rollout_ended", e.AbortAsked(**person()))
    task = world.start()
    await world.approve("owner", "lead")
    with pytest.raises(Conflict, match="abort by Olga"):
        await ended(task)
    assert world.shares() == [0.0, 0.0]
    assert "rollout_ended" not in await world.types()


async def test_a_line_that_asks_for_nothing_delays_no_promotion(world: Any, ended: Any, person: Any) -> None:
    """An acknowledgement in the same moment: decided anew, promoted, and each line stands once."""
    world.overtaken("rollout_ended", e.PageAcknowledged(**person()))
    task = world.start()
    await world.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"
    kinds = await world.types()
    assert (kinds.count("rollout_ended"), kinds.count("review_due")) == (1, 2)


@pytest.mark.parametrize("kind", ["phase_started", "exposure_intended", "soak_started", "approval_asked"])
async def test_an_abort_right_before_any_line_counts(world: Any, ended: Any, person: Any, kind: str) -> None:
    """Whatever was about to be journaled was decided without the abort: it is not journaled, nor carried out."""
    world.overtaken(kind, e.AbortAsked(**person()))
    task = world.start()
    approving = asyncio.create_task(world.approve("owner", "lead"))
    state = await ended(task)
    approving.cancel()
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "abort")
    assert max(world.sent(), default=0.0) == 0.0
    kinds = await world.types()
    assert kind not in kinds[kinds.index("abort_asked") : kinds.index("rollback_started")]


async def test_an_abort_during_preflight_touches_nobody(world: Any, ended: Any, person: Any) -> None:
    """Asked while targets are observed: the abort is the reason, not a number in the journal."""
    world.overtaken("preflight_passed", e.AbortAsked(**person()))
    state = await ended(world.start())
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "abort")
    assert "prepare_intended" not in await world.types()
    assert max(world.sent(), default=0.0) == 0.0


# --- changes by hand ----------------------------------------------------------------------------------------


async def test_a_change_up_is_lowered_as_soon_as_it_is_seen(world: Any) -> None:
    """Not at the end of the block: within two seconds of the line that says it."""
    task = world.start()
    await world.in_canary()
    world.platforms["web"].change_by_hand(0.6)
    seen = await drifted(world)
    await world.clock.sleep(3)
    assert world.shares() == [0.1, 0.1]
    assert world.platforms["web"].sent[-1].at - seen < 2.0
    await world.die(task)


async def test_a_change_up_is_lowered_while_an_approval_is_waited_for(make_world: Any) -> None:
    """At 10 % and waiting for the go-live of 50 %: somebody's 60 % does not stay until the approval."""
    world = make_world()
    world.document["phases"].insert(2, HALF)
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.phase == "half" and s.approval is not None)
    world.platforms["web"].change_by_hand(0.6)
    await world.clock.sleep(20)
    assert world.shares() == [0.1, 0.1]
    state = await world.state()
    assert (state.asked, state.shown, state.approval.missing) == (0.1, True, ("owner",))
    await world.die(task)


async def test_a_new_holder_lowers_a_change_up_without_waiting(world: Any, another_process: Any) -> None:
    """The wait after a takeover is for raises: what only takes users off is sent as soon as it is seen."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    world.platforms["web"].change_by_hand(0.6)
    await world.clock.sleep(21)
    another_process()
    task = world.start()
    state = await world.until(lambda s: s.takeovers == 1)
    seen = await drifted(world)
    await world.clock.sleep(3)
    assert world.shares() == [0.1, 0.1]
    assert world.platforms["web"].sent[-1].at - seen < 2.0
    assert seen - state.took_at < 20
    await world.die(task)


# --- the journal ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("into_the_block", [0.0, 1.0, 3.9, 7.5, 14.5])
async def test_a_slowly_failing_journal_lowers_in_time(world: Any, into_the_block: float) -> None:
    """Wherever in a block and in the lease it goes, and though each question costs two seconds: exposure 0 is sent
    while the lease still runs."""
    slow_to_fail(world)
    task = world.start()
    sampled = (await world.in_canary()).sampled_at
    await world.until(lambda s: s.sampled_at > sampled)
    await world.clock.sleep(into_the_block)
    ends = (await world.journal.locks())[0].lease_until
    world.journal.away = True
    await world.clock.sleep(20)
    lowered = [sent.at for sent in world.platforms["web"].sent if sent.share == 0]
    assert lowered
    assert lowered[0] < ends
    await world.die(task)


async def test_at_full_a_silent_journal_takes_nobody_back(world: Any, ended: Any, another_process: Any) -> None:
    """All was judged good and everybody is there: somebody is paged every five minutes, users stay, and when the
    journal is back, after the lease, the guard writes the end."""
    task = await world.struck("away", "phase_passed", phase="full")
    await world.clock.sleep(700)
    assert world.shares() == [1.0, 1.0]
    assert [incident for incident, _ in world.oncall.pages] == ["r1:journal"] * 3
    assert all("at full exposure" in summary for _, summary in world.oncall.pages)
    world.journal.away = False
    with pytest.raises(LeaseLost):
        await ended(task)
    await world.clock.sleep(30)
    another_process()
    assert await Guard(world.stores, world.opener).look() == ["r1"]
    assert (await world.state()).ended.outcome == "promoted"


# --- taking up ----------------------------------------------------------------------------------------------


async def test_nothing_is_conducted_before_preflight(world: Any) -> None:
    """A rollout without a release cannot go on, and is never promoted: it says so."""
    await world.begin()
    sealed = {ref: await world.load(ref) for ref in world.plan.block_refs()}
    adapters = open_adapters(world.plan, sealed, world.opener)
    async with taking(world.stores, "r1") as seat, conducting(seat, adapters) as conductor:
        for go_on in (conductor.promote, lambda: conductor.run_phase("staging")):
            with pytest.raises(BadUsage, match="has not passed preflight"):
                await go_on()
    assert (await world.state()).ended is None


async def test_an_unreachable_candidate_is_looked_at_again(world: Any, ended: Any, another_process: Any) -> None:
    """Taken up in staging while the platform is away: the round cannot tell, the next one can."""
    task = world.start()
    await world.until(lambda s: s.soaking == "staging")
    await world.die(task)
    await world.clock.sleep(21)
    another_process()
    for platform in world.platforms.values():
        platform.unreachable = True
    world.journal._lines["r1"] = [line for line in world.journal._lines["r1"] if not line.type.startswith("check")]
    world.folded = type(world.folded)("r1")
    task = world.start()
    state = await world.until(lambda s: s.looks.round == 1)
    assert state.looks.last["home"][0] == "cannot tell"
    for platform in world.platforms.values():
        platform.unreachable = False
    await world.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"


# --- a full disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [False, True])
async def test_a_journal_that_is_read_and_takes_no_line_is_silent(world: Any, person: Any, held: bool) -> None:
    """The disk under it is full: users are lowered 10 s after the first line, or renewal, that it did not take."""
    task = world.start()
    await world.in_canary()
    if held:
        await world.says(e.HoldAsked(**person()))
        world.metrics.fails = "away as well"
        await world.clock.sleep(40)
    world.journal.full = True
    await world.clock.sleep(SILENT_AFTER + 16)
    assert world.shares() == [0.0, 0.0]
    lowered = min(sent.at for sent in world.platforms["web"].sent if sent.share == 0)
    assert lowered < (await world.journal.locks())[0].lease_until
    assert "r1:journal" in [incident for incident, _ in world.oncall.pages]
    await world.die(task)


@pytest.mark.parametrize("raising", [True, False])
async def test_who_stood_still_lowers_before_its_lease_runs_out(world: Any, raising: bool) -> None:
    """When it wakes the disk is full: it does not wait for 10 s of silence, of which its lease has fewer left."""
    world.platforms["web"].delay = 1.0
    if raising:
        task = await world.struck("full", "exposure_intended", share=0.1)
    else:
        task = world.start()
        await world.in_canary()
        world.journal.full = True
    ends = (await world.journal.locks())[0].lease_until
    world.clock.stand_still(ends - world.clock.now() - 8.0)
    await world.clock.sleep(8)
    lowered = [sent.at for sent in world.platforms["web"].sent if sent.share == 0]
    assert lowered
    assert lowered[0] < ends
    await world.die(task)


async def test_a_full_disk_at_full_exposure_is_waited_for(world: Any, ended: Any) -> None:
    """Everybody stays; once there is room again the rollout ends as promoted, by the same conductor."""
    task = await world.struck("full", "phase_passed", phase="full")
    await world.clock.sleep(13)
    assert world.shares() == [1.0, 1.0]
    world.journal.full = False
    assert (await ended(task)).ended.outcome == "promoted"
