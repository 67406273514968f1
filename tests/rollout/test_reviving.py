"""A dead conductor's rollout gets another one, when it comes in time; else it goes back. Nobody waits for Prefect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from canary.errors import BadUsage, LeaseLost
from canary.guard import EXPIRED_FOR, Guard
from canary.rollout import events as e
from canary.rollout.reviving import ATTEMPTS, COMES_WITHIN
from canary.rollout.state import State

LEASE = 20.0
GONE = LEASE + EXPIRED_FOR


@dataclass
class FakeRuns:
    """Prefect as the guard sees it. comes_after: seconds until an asked run conducts; None: it never does.

    away: it refuses every question. hangs: it answers none. asked: the attempts it was asked for, in order.
    """

    world: Any
    comes_after: float | None = None
    away: bool = False
    hangs: bool = False
    is_cancelled: bool = False
    asked: list[int] = field(default_factory=list)
    runs: list[asyncio.Task[Any]] = field(default_factory=list)

    async def cancelled(self, state: State) -> bool:
        await self._reached()
        return self.is_cancelled

    async def start(self, state: State, attempt: int) -> None:
        await self._reached()
        if attempt not in self.asked and self.comes_after is not None:
            self.runs.append(asyncio.create_task(self._comes(self.comes_after)))
        self.asked.append(attempt)

    async def _reached(self) -> None:
        if self.hangs:
            await self.world.clock.sleep(3600)
        if self.away:
            raise ConnectionError("Prefect's API is away")

    async def _comes(self, seconds: float) -> State:
        await self.world.clock.sleep(seconds)
        state: State = await self.world.conduct()
        return state


@contextlib.asynccontextmanager
async def guarding(world: Any, runs: FakeRuns, guards: int = 1) -> AsyncIterator[None]:
    """That many guards; at the end they and the runs that were asked for are gone."""
    tasks = [asyncio.create_task(Guard(world.stores, world.opener, (), runs).watch()) for _ in range(guards)]
    try:
        yield
    finally:
        for task in (*tasks, *runs.runs):
            task.cancel()
        await asyncio.gather(*tasks, *runs.runs, return_exceptions=True)


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each taking of the lock is by another process than the one before."""
    numbers = iter(range(1000))
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: f"process-{next(numbers)}")


async def killed_in_canary(world: Any) -> State:
    task = world.start()
    state: State = await world.in_canary()
    await world.die(task)
    return state


async def test_another_conductor_goes_on_where_the_dead_one_was(world: Any) -> None:
    """It comes 10 s after it was asked for: the phase keeps its evidence and its end, and all get the release."""
    before = await killed_in_canary(world)
    runs = FakeRuns(world, comes_after=10)
    async with guarding(world, runs):
        state = await world.until(lambda s: s.ended is not None)
    assert state.ended.outcome == "promoted"
    assert runs.asked == [1]
    kinds = await world.types()
    assert kinds.count("conductor_asked") == 1
    assert kinds.count("soak_started") == len(("staging", "canary"))
    assert not {"rollback_started", "exposure_drifted"} & set(kinds)
    soak = next(line for line in await world.lines() if line.type == "judged" and line.seq > before.seq)
    assert soak.data["verdict"]["outcome"] in ("UNDECIDED", "PASS")


@pytest.mark.parametrize("how", [{}, {"away": True}, {"hangs": True}, {"comes_after": 40.0}])
async def test_nobody_comes_in_time(world: Any, how: dict[str, Any]) -> None:
    """25 s after a run was asked for, whatever Prefect said, users are brought back; who comes later only leaves."""
    await killed_in_canary(world)
    runs = FakeRuns(world, **how)
    async with guarding(world, runs):
        asked = await world.until(lambda s: s.asked_run is not None)
        await world.clock.sleep(COMES_WITHIN - 2)
        assert world.shares() == [0.1, 0.1]
        state = await world.until(lambda s: s.ended is not None, 40)
        assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "guard")
        assert state.rollback.started_at <= asked.asked_run.at + COMES_WITHIN + 2
        await world.clock.sleep(60)
        late = await asyncio.gather(*runs.runs, return_exceptions=True)
    assert world.shares() == [0.0, 0.0]
    assert all(isinstance(end, LeaseLost | State) for end in late)
    assert (await world.types()).count("rollback_started") == 1


async def test_prefect_is_back_in_time(world: Any) -> None:
    """Away when a run is first asked for, it is asked again until it answers."""
    await killed_in_canary(world)
    runs = FakeRuns(world, comes_after=1, away=True)
    async with guarding(world, runs):
        await world.until(lambda s: s.asked_run is not None)
        await world.clock.sleep(10)
        runs.away = False
        assert (await world.until(lambda s: s.ended is not None)).ended.outcome == "promoted"
    assert runs.asked == [1]


async def test_a_cancelled_run_is_an_abort(world: Any) -> None:
    """Somebody pressed Cancel in Prefect and the process is gone: no other is asked for, and users are back at once."""
    await killed_in_canary(world)
    runs = FakeRuns(world, comes_after=1, is_cancelled=True)
    async with guarding(world, runs):
        await world.until(lambda s: s.rollback is not None, GONE + 3)
        await world.clock.sleep(1)
        assert world.shares() == [0.0, 0.0]
        state = await world.until(lambda s: s.ended is not None, 40)
    assert (state.rollback.cause, state.stop.kind) == ("abort", "abort")
    assert "Prefect UI" in state.ended.reason
    assert runs.asked == []


async def test_who_dies_again_and_again_is_replaced_twice(world: Any) -> None:
    """The third death brings the users back without waiting for anybody."""
    await killed_in_canary(world)
    runs = FakeRuns(world, comes_after=1)
    async with guarding(world, runs):
        for attempt in range(1, ATTEMPTS + 1):
            await world.until(lambda s, n=attempt: s.takeovers == n)
            await world.die(runs.runs[-1])
        await world.until(lambda s: s.rollback is not None, GONE + 3)
        state = await world.until(lambda s: s.ended is not None, 40)
    assert state.ended.outcome == "rolled_back"
    assert runs.asked == [1, 2]


async def test_at_full_exposure_nobody_is_taken_off(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conductor dies in the closing and no other comes: the guard ends the rollout as promoted, and pages."""
    task = world.start()
    await world.approve("owner", "lead")
    with monkeypatch.context() as slow:
        slow.setattr("canary.rollout.conductor.Conductor.promote", lambda self: world.clock.sleep(1e6))
        await world.until(lambda s: "full" in s.passed)
        await world.die(task)
    async with guarding(world, FakeRuns(world)):
        state = await world.until(lambda s: s.ended is not None, GONE + COMES_WITHIN + 10)
        await world.clock.sleep(5)
    assert state.ended.outcome == "promoted"
    assert world.shares() == [1.0, 1.0]
    assert any("died at full exposure" in summary for _, summary in world.oncall.pages)


async def test_two_guards_ask_for_one_run(world: Any) -> None:
    """The journal decides which of them asks: one line, and one run."""
    await killed_in_canary(world)
    runs = FakeRuns(world, comes_after=5)
    async with guarding(world, runs, guards=2):
        await world.until(lambda s: s.takeovers == 1)
    assert set(runs.asked) == {1}
    assert len(runs.runs) == 1
    assert (await world.types()).count("conductor_asked") == 1


@pytest.mark.parametrize("what", ["stop", "fail"])
async def test_on_the_way_back_nobody_is_asked_for(world: Any, person: Any, what: str) -> None:
    """After an abort, or a FAIL that the dead conductor has journaled, exposure 0 waits for no other conductor."""
    task = world.start()
    await world.in_canary()
    if what == "fail":
        world.metrics.bad = 0.5
        await world.until(lambda s: s.verdict is not None and s.verdict.outcome == "FAIL")
    await world.die(task)
    if what == "stop":
        await world.says(e.AbortAsked(**person()))
    runs = FakeRuns(world, comes_after=1)
    async with guarding(world, runs):
        state = await world.until(lambda s: s.ended is not None, GONE + 40)
    assert state.ended.outcome == "rolled_back"
    assert runs.asked == []


# --- approvals that are too late ------------------------------------------------------------------------------


async def test_an_approval_that_cannot_count_is_refused(world: Any, person: Any) -> None:
    """After the time that the plan gives, and on the way back: whoever approves is told so."""
    world.start()
    asked = (await world.until(lambda s: s.approval is not None)).approval
    yes = e.ApprovalGiven(role="owner", subject=asked.subject, **person())
    await world.clock.sleep(asked.due - world.clock.now() + 0.1)
    with pytest.raises(BadUsage, match=r"time to approve canary is over|on its way back|has ended"):
        await world.says(yes)


# --- the guard's own alarm ------------------------------------------------------------------------------------


def told(world: Any) -> list[str]:
    return [incident for incident, _ in world.oncall.pages if incident.endswith(":guard-journal")]


async def test_a_silent_journal_is_paged_by_the_guard(world: Any) -> None:
    """From 10 s on and every 5 min, by the routes it knew when the journal last answered; the receipts are kept."""
    await killed_in_canary(world)
    async with guarding(world, FakeRuns(world)):
        await world.clock.sleep(3)
        world.journal.away = True
        await world.clock.sleep(9)
        assert told(world) == []
        await world.clock.sleep(5)
        assert told(world) == ["r1:guard-journal"]
        await world.clock.sleep(300)
        assert len(told(world)) == 2
        world.journal.away = False
        state = await world.until(lambda s: s.ended is not None, 60)
    assert state.ended.outcome == "rolled_back"
    assert (await world.types()).count("paged") >= 2
    assert "r1:guard-journal" in state.paged


@dataclass
class Kept:
    """What a guard leaves to the next one of its host."""

    routes: Mapping[str, Any] = field(default_factory=dict)
    broken: bool = False

    async def keep(self, routes: Mapping[str, Any]) -> None:
        if self.broken:
            raise OSError("no room")
        self.routes = dict(routes)

    async def kept(self) -> Mapping[str, Any]:
        if self.broken:
            raise OSError("no such disk")
        return self.routes


@contextlib.asynccontextmanager
async def remembering(world: Any, kept: Kept) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Guard(world.stores, world.opener, (), FakeRuns(world), kept).watch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_guard_that_starts_without_the_journal_pages(world: Any, broken: bool) -> None:
    """By the routes that the guard before it has kept; what cannot be kept or read ends neither of them."""
    await killed_in_canary(world)
    kept = Kept(broken=broken)
    async with remembering(world, kept):
        await world.clock.sleep(3)
        assert {rollout: list(routes) for rollout, routes in kept.routes.items()} == (
            {} if broken else {"r1": list(world.plan.notify.page)}
        )
    world.journal.away = True
    async with remembering(world, kept) as guard:
        await world.clock.sleep(15)
        assert told(world) == ([] if broken else ["r1:guard-journal"])
        assert not guard.done()
        world.journal.away = False
        assert (await world.until(lambda s: s.ended is not None, 90)).ended.outcome == "rolled_back"
        await world.clock.sleep(3)
    assert not kept.routes


async def test_what_could_not_be_kept_is_kept_later(world: Any) -> None:
    """The disk was full as the rollout began, and has room again."""
    await killed_in_canary(world)
    kept = Kept(broken=True)
    async with remembering(world, kept):
        await world.clock.sleep(3)
        kept.broken = False
        await world.clock.sleep(2)
        assert list(kept.routes) == ["r1"]


async def test_a_silence_is_counted_anew(world: Any) -> None:
    """Two silences of 8 s are none of 16 s; the page of the next one does not wait for the last one's 5 min."""
    await killed_in_canary(world)
    async with guarding(world, FakeRuns(world)):
        await world.clock.sleep(3)
        for pages, silent in ((0, 8), (0, 8), (1, 14), (2, 14)):
            world.journal.away = True
            await world.clock.sleep(silent)
            world.journal.away = False
            await world.clock.sleep(1.5)
            assert len(told(world)) == pages


async def test_where_nothing_is_under_way_nobody_is_woken(world: Any, ended: Any) -> None:
    """A rollout that has ended is forgotten."""
    task = world.start()
    runs = FakeRuns(world)
    async with guarding(world, runs):
        await world.approve("owner", "lead")
        await ended(task)
        await world.clock.sleep(5)
        world.journal.away = True
        await world.clock.sleep(60)
    assert told(world) == []


async def test_a_full_journal_is_paged_by_the_guard(world: Any) -> None:
    """It is read, and takes no line: the dead conductor is seen, nobody can take its place, and somebody is woken."""
    await killed_in_canary(world)
    world.journal.full = True
    async with guarding(world, FakeRuns(world)):
        await world.clock.sleep(GONE + 8)
        assert told(world) == []
        await world.clock.sleep(8)
        assert told(world) == ["r1:guard-journal"]
        world.journal.full = False
        assert (await world.until(lambda s: s.ended is not None, 90)).ended.outcome == "rolled_back"
