"""What is left when a conductor dies, or the journal is away: others finish it, from the journal and the vault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from canary.errors import JournalUnavailable
from canary.guard import Guard
from canary.rollout import events as e
from canary.rollout.conducting import pass_preflight, refuse, taking


@contextlib.asynccontextmanager
async def guarding(world: Any, stays: bool = False) -> Any:
    """A guard's process."""
    task = asyncio.create_task(Guard(world.stores, world.opener).watch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From here on, whoever takes a lock is another process."""
    return lambda name: monkeypatch.setattr("canary.rollout.conducting.holder", lambda: name)


# --- the guard ----------------------------------------------------------------------------------------------


async def test_the_guard_brings_a_dead_conductors_users_back(world: Any, another_process: Any) -> None:
    """Five seconds after the lease's end, and not before: exposure 0 everywhere, verified, the service free."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    until = (await world.journal.locks())[0].lease_until
    another_process("guard")
    async with guarding(world):
        state = await world.until(lambda s: s.ended is not None, 120)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "guard")
    assert 5 <= state.rollback.started_at - until <= 7
    assert world.shares() == [0.0, 0.0]


async def test_the_guard_reverses_a_raise_that_lands_late(world: Any, another_process: Any) -> None:
    """A raise of the dead conductor takes effect 20 s after the guard's rollback: it is lowered within 2 s."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    another_process("guard")
    async with guarding(world):
        await world.until(lambda s: s.rollback is not None, 60)
        await world.clock.sleep(20)
        world.platforms["web"].change_by_hand(0.1)
        await world.clock.sleep(2)
        assert world.shares() == [0.0, 0.0]
        assert (await world.until(lambda s: s.ended is not None, 60)).ended.verified


async def test_a_living_conductor_is_left_alone(world: Any, ended: Any, another_process: Any) -> None:
    """A lease that is renewed is nobody else's: the rollout is promoted under the first epoch."""
    task = world.start()
    async with guarding(world):
        await world.approve("owner", "lead")
        state = await ended(task)
    assert (state.ended.outcome, state.epoch, state.takeovers) == ("promoted", 1, 0)


async def test_a_death_in_preflight_is_refused(world: Any, another_process: Any) -> None:
    """Nothing was touched: the rollout ends as refused, and the service is free."""
    await world.begin()
    await world.journal.take("shop", "r1", "dead", world.clock.now(), 20.0)
    another_process("guard")
    async with guarding(world):
        state = await world.until(lambda s: s.ended is not None, 60)
    assert state.ended.outcome == "refused"
    assert world.sent() == []
    assert not await world.journal.locks()


async def test_a_death_at_full_is_no_rollback(world: Any, another_process: Any, monkeypatch: Any) -> None:
    """Everybody is on a candidate that passed: it stays, somebody is paged, the rollout ends as promoted."""
    task = world.start()
    await world.approve("owner", "lead")
    monkeypatch.setattr("canary.rollout.conductor.Conductor.promote", lambda self: world.clock.sleep(1e6))
    await world.until(lambda s: "full" in s.passed)
    await world.die(task)
    monkeypatch.undo()
    another_process("guard")
    async with guarding(world):
        state = await world.until(lambda s: s.ended is not None, 60)
        await world.clock.sleep(3)
    assert (state.ended.outcome, state.rollback) == ("promoted", None)
    assert world.shares() == [1.0, 1.0]
    assert any("died at full" in summary for _, summary in world.oncall.pages)


async def test_of_two_guards_one_acts(world: Any, monkeypatch: Any) -> None:
    """Both see the expired lease at once: one rolls back, and the rollback is journaled once."""
    names = iter(f"guard-{n}" for n in range(1000))
    task = world.start()
    await world.in_canary()
    await world.die(task)
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: next(names))
    async with guarding(world), guarding(world):
        await world.until(lambda s: s.ended is not None, 120)
    kinds = await world.types()
    assert (kinds.count("rollback_started"), kinds.count("rollout_ended"), kinds.count("conductor_took")) == (1, 1, 2)


async def test_a_guard_without_a_journal_waits(world: Any, another_process: Any) -> None:
    """A journal that is away ends no guard: when it is back, the dead conductor's rollout is finished."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    another_process("guard")
    world.journal.away = True
    async with guarding(world) as guard:
        await world.clock.sleep(60)
        assert not guard.done()
        world.journal.away = False
        assert (await world.until(lambda s: s.ended is not None, 120)).ended.outcome == "rolled_back"


async def test_an_unverified_rollback_is_finished_later(world: Any, ended: Any, person: Any) -> None:
    """The platform was away for longer than `rollback.within`: the guard goes on until exposure 0 is seen."""
    task = world.start()
    await world.in_canary()
    world.platforms["web"].unreachable = True
    await world.says(e.AbortAsked(**person()))
    assert (await ended(task)).ended is None
    async with guarding(world):
        await world.clock.sleep(30)
        world.platforms["web"].unreachable = False
        state = await world.until(lambda s: s.ended is not None, 600)
    assert (state.ended.outcome, state.ended.verified) == ("rolled_back", True)
    assert world.shares() == [0.0, 0.0]


# --- the journal is away ------------------------------------------------------------------------------------


async def test_a_fail_in_hand_lowers_without_the_journal(world: Any, ended: Any) -> None:
    """The journal goes while a bad block is read: exposure 0 is sent within a second, its lines are spooled, and
    what is journaled after the journal's return stands behind them."""
    task = world.start()
    await world.in_canary()
    world.metrics.bad = 0.5
    read = world.metrics.read

    async def read_and_lose(*args: Any) -> Any:
        scrapes = await read(*args)
        world.journal.away = bool(scrapes)
        return scrapes

    world.metrics.read = read_and_lose  # type: ignore[method-assign]
    while not world.journal.away:
        await world.clock.sleep(0.5)
    gone = world.clock.now()
    await world.clock.sleep(1.5)
    assert world.shares() == [0.0, 0.0]
    await world.clock.sleep(10.0)
    world.journal.away = False
    state = await ended(task)
    assert next(sent.at for sent in world.platforms["api"].sent if sent.share == 0) - gone < 1.5
    assert state.rollback.cause == "fail"
    await world.spool.flush(world.journal)
    kinds = await world.types()
    assert kinds.index("rollback_started") < kinds.index("rollback_verified") < kinds.index("rollout_ended")
    assert (await world.state()).ended.outcome == "rolled_back"


async def test_a_silent_journal_lowers_before_the_lease_ends(world: Any) -> None:
    """Ten seconds without an answer: users are taken off, somebody is paged, while the lease still runs."""
    task = world.start()
    await world.in_canary()
    ends = (await world.journal.locks())[0].lease_until
    world.journal.away = True
    await world.clock.sleep(15.5)
    assert world.shares() == [0.0, 0.0]
    assert world.platforms["api"].sent[-1].at < ends
    assert any("journal" in incident for incident, _ in world.oncall.pages)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_short_silence_costs_nothing(world: Any, ended: Any) -> None:
    """Five seconds without an answer, and a lost one: the rollout goes on, and no line stands twice."""
    task = world.start()
    await world.in_canary()
    world.journal.away = True
    await world.clock.sleep(5)
    world.journal.away = False
    world.journal.lose_answers = 1
    assert (await ended(task)).ended.outcome == "promoted"
    sampled = [line.data["block"]["at"] for line in await world.lines() if line.type == "sampled"]
    assert len(sampled) == len(set(sampled))


# --- resuming -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["preflight_passed", "prepare_intended", "soak_started", "approval_asked"])
async def test_a_new_conductor_goes_on_where_the_journal_ends(
    world: Any, ended: Any, another_process: Any, line: str
) -> None:
    """Killed behind that line and started anew on the same journal: the same end."""
    task = world.start()
    while line not in await world.types():
        await world.clock.sleep(0.01 if line == "approval_asked" else 0)
    await world.die(task)
    await world.clock.sleep(21)
    another_process("second")
    task = world.start()
    await world.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"
    assert (await world.types()).count("preflight_passed") == 1
    assert world.sent() == [0.1, 1.0]


async def test_a_new_holder_waits_before_a_raise(world: Any, ended: Any, another_process: Any) -> None:
    """Killed behind the journaled intent: the second conductor raises 26 s after it took over, and not before."""
    task = world.start()
    await world.approve("owner", "lead")
    await world.until(lambda s: s.asked == 0.1)
    await world.die(task)
    before = len(world.platforms["api"].sent)
    world.platforms["api"].change_by_hand(0.0)
    world.journal._lines["r1"] = [x for x in world.journal._lines["r1"] if x.type != "exposure_observed"]
    world.folded = type(world.folded)("r1")
    await world.clock.sleep(21)
    another_process("second")
    task = world.start()
    state = await world.until(lambda s: s.takeovers == 1)
    assert (await ended(task)).ended.outcome == "promoted"
    assert world.platforms["api"].sent[before].at - state.took_at >= 26


async def test_a_new_holder_lowers_at_once(world: Any, ended: Any, another_process: Any, person: Any) -> None:
    """A lowering waits for nothing: an abort during the vacancy is carried out as soon as somebody conducts."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    await world.clock.sleep(21)
    await world.says(e.AbortAsked(**person()))
    another_process("second")
    before, started = len(world.platforms["api"].sent), world.clock.now()
    assert (await ended(world.start())).ended.outcome == "rolled_back"
    assert world.platforms["api"].sent[before].at - started < 1.0


async def test_a_preflight_without_an_answer_has_passed_once(world: Any) -> None:
    """Its line was stored, its answer lost, and then the journal was away until the task was tried again."""
    await world.begin()
    async with taking(world.stores, "r1") as seat:
        world.journal.lose_answers, world.journal.last = 1, ("away", "preflight_passed", {})
        with pytest.raises(JournalUnavailable):
            await pass_preflight(seat, world.load, world.opener)
        world.journal.away, world.journal.last = False, None
        await (await pass_preflight(seat, world.load, world.opener)).close()
    assert (await world.types()).count("preflight_passed") == 1


@pytest.mark.parametrize(("rate", "said"), [(200.0, 0), (240.0, 1)])
async def test_who_goes_on_holds_the_source_against_the_journal(
    world: Any, ended: Any, another_process: Any, rate: float, said: int
) -> None:
    """A source that tells otherwise now is named once, behind the first block of the new conductor; the evidence of
    the journal stays, and the rollout goes on."""
    task = world.start()
    await world.in_canary()
    await world.until(lambda s: s.evidence.blocks >= 4)
    await world.die(task)
    await world.clock.sleep(22)
    world.metrics.rate = rate
    another_process("another")
    assert (await ended(world.start())).ended.outcome == "promoted"
    kinds = await world.types()
    assert kinds.count("samples_differ") == said
    if said:
        since = kinds[kinds.index("conductor_took", kinds.index("sampled")) :]
        assert since.index("sampled") < since.index("samples_differ")


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_gap_in_the_evidence_is_named(
    world: Any, ended: Any, another_process: Any, monkeypatch: Any, remembers: bool
) -> None:
    """A source that keeps nothing cannot tell what was while nobody conducted: the thread says of how long, once."""
    task = world.start()
    await world.in_canary()
    await world.until(lambda s: s.evidence.blocks >= 4)
    await world.die(task)
    await world.clock.sleep(62)
    read = world.metrics.read

    async def newest(signals: Any, arms: Any, since: float, until: float) -> Any:
        found = await read(signals, arms, since, until)
        return found if remembers else [scrape for scrape in found if scrape.at > world.clock.now() - 15]

    monkeypatch.setattr(world.metrics, "read", newest)
    another_process("another")
    assert (await ended(world.start())).ended.outcome == "promoted"
    gaps = [line.data for line in await world.lines() if line.type == "evidence_gap"]
    sampled = [line.data["block"]["at"] for line in await world.lines() if line.type == "sampled"]
    steps = {after - before for before, after in pairwise(sampled)}
    assert (max(steps) == 15.0) == remembers
    assert [gap["until"] - gap["since"] for gap in gaps] == ([] if remembers else [max(steps) - 15.0])
    told = [text for _, text in world.updates.posts if f"of {max(steps) - 15:.0f} s there is no measurement" in text]
    assert len(told) == len(gaps)


async def test_nothing_is_refused_once_users_may_be_there(world: Any, another_process: Any) -> None:
    """The next conductor cannot get its credentials, the journal being away: it fails, and the rollout is not ended by
    that, but by whoever comes next, with everybody brought back."""
    task = world.start()
    await world.in_canary()
    await world.die(task)
    await world.clock.sleep(21)
    another_process("second")
    away = JournalUnavailable("the journal does not answer")
    async with taking(world.stores, "r1") as seat:
        with pytest.raises(JournalUnavailable):
            await refuse(seat, away)
    assert (await world.state()).ended is None
    another_process("guard")
    async with guarding(world):
        state = await world.until(lambda s: s.ended is not None, 120)
    assert state.ended.outcome == "rolled_back"
    assert world.shares() == [0.0, 0.0]
