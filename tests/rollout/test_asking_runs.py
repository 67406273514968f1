"""When another conductor is asked for, how often, and when nobody waits for one any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from canary.errors import Conflict
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.ports import Increment, Lock
from canary.rollout import events as e
from canary.rollout.conducting import Stores
from canary.rollout.folding import fold
from canary.rollout.reviving import ANSWERS_WITHIN, ATTEMPTS, COMES_WITHIN, Reviver, cancelled_in_prefect
from canary.rollout.state import State
from canary.testing.fakes import FakeClock, MemoryShelf
from canary.testing.journal import MemoryJournal, MemoryVault

STARTED = e.RolloutStarted(plan="p", plan_hash="h", service="shop", version="2", requested_by="Ann", how="a test")
ENDED = e.RolloutEnded(outcome="rolled_back", phase="canary", reason="bad", verified=True)


@dataclass
class Prefect:
    """asked: (rollout, attempt) as they were asked for. hangs and fails: for questions and for starts alike."""

    clock: FakeClock
    is_cancelled: bool = False
    fails: bool = False
    hangs: bool = False
    looks: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def cancelled(self, state: State) -> bool:
        self.looks += 1
        await self._answers()
        return self.is_cancelled

    async def start(self, state: State, attempt: int) -> None:
        self.asked.append((state.rollout, attempt))
        await self._answers()

    async def _answers(self) -> None:
        if self.fails:
            raise ConnectionError("away")
        if self.hangs:
            await self.clock.sleep(3600)


class Place:
    """A journal in which a rollout is under way, its lock under epoch 4 run out, and Prefect."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.prefect = Prefect(self.clock)
        self.lock = self.under(4)

    def under(self, epoch: int) -> Lock:
        return Lock("shop", "r1", epoch, "dead", self.clock.now() - 6)

    def reviver(self) -> Reviver:
        spool: Any = None
        return Reviver(Stores(self.journal, MemoryVault(), spool, self.clock, MemoryShelf()), self.prefect)

    async def says(self, *events: e.Event, rollout: str = "r1") -> State:
        after = len(await self.journal.read(rollout))
        await self.journal.append(rollout, after, [event.entry(self.clock.now()) for event in events])
        return await self.state(rollout)

    async def state(self, rollout: str = "r1") -> State:
        return fold(State(rollout), await self.journal.read(rollout))

    async def asked(self) -> list[tuple[int, int]]:
        """Attempt and epoch of each line that asks for a run."""
        lines = [line for line in await self.journal.read("r1") if line.type == "conductor_asked"]
        return [(line.data["attempt"], line.data["epoch"]) for line in lines]


@pytest.fixture
async def place() -> Place:
    place = Place()
    await place.says(STARTED)
    return place


async def test_the_first_death_asks_for_the_first_run(place: Place) -> None:
    """One line, now and for the dead one's epoch; Prefect is asked whether somebody cancelled, and to start."""
    assert await place.reviver().may_come(await place.state(), place.lock) is True
    asked = (await place.state()).asked_run
    assert asked is not None
    assert (asked.attempt, asked.epoch, asked.at) == (1, 4, place.clock.now())
    assert (place.prefect.looks, place.prefect.asked) == (1, [("r1", 1)])


@pytest.mark.parametrize(("later", "may_come"), [(0.0, True), (COMES_WITHIN - 0.1, True), (COMES_WITHIN, False)])
async def test_an_asked_run_gets_its_time_and_no_more(place: Place, later: float, may_come: bool) -> None:
    """25 s from the line; meanwhile nothing is journaled and nobody is asked whether it was cancelled."""
    state = await place.says(e.ConductorAsked(attempt=1, epoch=4))
    await place.clock.sleep(later)
    assert await place.reviver().may_come(state, place.lock) is may_come
    assert await place.asked() == [(1, 4)]
    assert place.prefect.looks == 0
    assert place.prefect.asked == ([("r1", 1)] if may_come else [])


async def test_the_death_of_the_one_who_came_asks_for_the_next(place: Place) -> None:
    """Its epoch is another one, however long ago the first was asked for; the third death asks for nobody."""
    reviver = place.reviver()
    assert (ATTEMPTS, COMES_WITHIN, ANSWERS_WITHIN) == (2, 25.0, 2.0)
    assert await reviver.may_come(await place.state(), place.lock) is True
    await place.clock.sleep(100)
    assert await reviver.may_come(await place.state(), place.under(5)) is True
    assert await place.asked() == [(1, 4), (2, 5)]
    assert place.prefect.asked == [("r1", 1), ("r1", 2)]
    await place.clock.sleep(1)
    place.prefect.looks = 0
    assert await reviver.may_come(await place.state(), place.under(6)) is False
    assert await place.asked() == [(1, 4), (2, 5)]
    assert place.prefect.asked == [("r1", 1), ("r1", 2)]
    assert place.prefect.looks == 0


def judged(outcome: Outcome) -> e.Judged:
    found = Verdict("< 1%", "http", outcome, 0.0, 0.01, "share", Increment(9.0), None, "so it is")
    return e.Judged(phase="canary", verdict=PhaseVerdict.of([found]).to_data())


SAID = {"by": "Olga", "how": "a test", "reason": "because"}


@pytest.mark.parametrize(
    "event",
    [
        e.AbortAsked(**SAID),
        e.RollbackAsked(**SAID),
        e.ApprovalRejected(role="owner", **SAID),
        e.RollbackStarted(cause="fail", reason="bad"),
        judged(Outcome.FAIL),
    ],
    ids=lambda event: event.type,
)
async def test_whose_users_go_back_anyway_waits_for_nobody(place: Place, event: e.Event) -> None:
    """No line, no question, no run; also when one was asked for a moment ago."""
    for state in (await place.says(event), await place.says(e.ConductorAsked(attempt=1, epoch=4))):
        assert await place.reviver().may_come(state, place.lock) is False
    assert (place.prefect.looks, place.prefect.asked) == (0, [])


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.UNDECIDED])
async def test_a_verdict_that_is_no_fail_is_left_to_another_conductor(place: Place, outcome: Outcome) -> None:
    """It goes on with the evidence."""
    assert await place.reviver().may_come(await place.says(judged(outcome)), place.lock) is True


async def test_cancelled_in_prefect_is_an_abort_and_no_run(place: Place) -> None:
    """Said once in the journal, with who and how; the users go back at once."""
    place.prefect.is_cancelled = True
    assert await place.reviver().may_come(await place.state(), place.lock) is False
    lines = await place.journal.read("r1")
    assert [line.type for line in lines] == ["rollout_started", "abort_asked"]
    assert lines[-1].data == cancelled_in_prefect().model_dump(mode="json")
    assert lines[-1].at == place.clock.now()
    assert place.prefect.asked == []


async def test_cancelled_after_its_end_is_nothing_new(place: Place) -> None:
    """The rollout ended since the guard's look: nothing is added, and nobody is asked for."""
    state = await place.state()
    await place.says(ENDED)
    place.prefect.is_cancelled = True
    assert await place.reviver().may_come(state, place.lock) is False
    assert [line.type for line in await place.journal.read("r1")] == ["rollout_started", "rollout_ended"]


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_what_prefect_does_not_answer_is_no_cancellation(place: Place, how: str) -> None:
    """Neither question takes longer than 2 s; the run is asked for again at the next look, and then no more."""
    setattr(place.prefect, how, True)
    reviver, asked = place.reviver(), place.clock.monotonic()
    assert await reviver.may_come(await place.state(), place.lock) is True
    assert place.clock.monotonic() - asked == (2 * ANSWERS_WITHIN if how == "hangs" else 0.0)
    assert await reviver.may_come(await place.state(), place.lock) is True
    assert place.prefect.asked == [("r1", 1)] * 2
    setattr(place.prefect, how, False)
    for _ in range(3):
        assert await reviver.may_come(await place.state(), place.lock) is True
    assert place.prefect.asked == [("r1", 1)] * 3
    assert await place.asked() == [(1, 4)]


async def test_each_rollout_has_its_own_runs(place: Place) -> None:
    """The first attempt of one is not the first of another."""
    reviver = place.reviver()
    await place.says(STARTED, rollout="r2")
    other = Lock("blog", "r2", 1, "dead", 0.0)
    assert await reviver.may_come(await place.state(), place.lock) is True
    assert await reviver.may_come(await place.state("r2"), other) is True
    assert place.prefect.asked == [("r1", 1), ("r2", 1)]


async def test_another_guard_was_faster(place: Place) -> None:
    """What this one has read is not the newest: it appends nothing, and asks for nothing."""
    state = await place.state()
    await place.says(e.ConductorAsked(attempt=1, epoch=4))
    with pytest.raises(Conflict):
        await place.reviver().may_come(state, place.lock)
    assert await place.asked() == [(1, 4)]
    assert place.prefect.asked == []
