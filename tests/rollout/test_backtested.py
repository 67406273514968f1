"""A plan that demands a backtest: no rollout of its rules begins before one has passed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canary.errors import Refused
from canary.plan.load import parse_plan
from canary.ports import BACKTESTS, NewEntry
from canary.rollout.backtested import insist_on_backtest, judged_phases, record, rules_hash
from canary.testing.fakes import FakeClock
from canary.testing.journal import MemoryJournal

from .conftest import PLAN

DEMANDS = {"backtest": "required"}


@pytest.fixture
def demanding(make_world: Any) -> Any:
    return make_world(DEMANDS)


async def test_without_a_backtest_nothing_is_touched(demanding: Any) -> None:
    """Refused, naming the command; no block was even asked for."""
    await demanding.begin()
    with pytest.raises(Refused, match="demands a passing backtest, and there is none") as refused:
        async with demanding.conductor():
            pass
    assert "canary plan backtest PLAN --history EXPORT" in refused.value.fix
    assert demanding.loaded == []
    assert demanding.sent() == []


async def test_after_one_that_passed_the_rollout_goes_its_way(demanding: Any, ended: Any) -> None:
    """Preflight finds it in the same journal."""
    await record(demanding.journal, demanding.clock, demanding.plan, {"passes": True})
    task = demanding.start()
    await demanding.approve("owner", "lead")
    assert (await ended(task)).ended.outcome == "promoted"


@pytest.mark.parametrize("found", [{"passes": False}, {"passes": "true"}, {}])
async def test_the_newest_one_counts_and_must_have_passed(demanding: Any, found: dict[str, Any]) -> None:
    """What once passed does not any more; and only a plain yes is one."""
    await record(demanding.journal, demanding.clock, demanding.plan, {"passes": True})
    await record(demanding.journal, demanding.clock, demanding.plan, found)
    with pytest.raises(Refused, match="the newest one did not pass"):
        await insist_on_backtest(demanding.plan, demanding.journal)


async def test_a_conductor_that_takes_over_does_not_ask_again(demanding: Any) -> None:
    """What runs is not stranded by a backtest that came later."""
    await record(demanding.journal, demanding.clock, demanding.plan, {"passes": True})
    await demanding.begin()
    async with demanding.conductor():
        await record(demanding.journal, demanding.clock, demanding.plan, {"passes": False})
    async with demanding.conductor() as (seat, _):
        assert seat.passed_preflight


async def test_a_plan_that_does_not_demand_it_needs_none(make_world: Any) -> None:
    """Nothing is asked of the journal."""
    world = make_world({})
    world.journal.away = True
    await insist_on_backtest(world.plan, world.journal)


@pytest.mark.parametrize(
    ("edits", "same"),
    [
        ({"notify.page": ["terminal/all"]}, True),
        ({"rollback": {"within": "2m"}}, True),
        ({"phases.1.approval": None}, True),
        ({"phases.1.criteria": [{"errors": "< 2%"}]}, False),
        ({"phases.1.criteria": [{"errors": "< 1%", "cluster": 8}]}, False),
        ({"phases.1.triggers": [{"errors": "any"}]}, False),
        ({"phases.1.for": "20m"}, False),
        ({"alpha": "5%"}, False),
        ({"signals.errors.bad": {"status": "4.."}}, False),
        ({"service": "other"}, False),
    ],
)
def test_a_backtest_belongs_to_the_rules_and_what_they_measure(
    make_world: Any, edits: dict[str, Any], same: bool
) -> None:
    """Whoever is told of it does not matter; what is judged, how, and of which service does."""
    assert (rules_hash(make_world(edits).plan) == rules_hash(make_world({}).plan)) is same


def test_each_phase_is_judged_behind_those_before_it(make_world: Any) -> None:
    """As its judge does: what the candidate showed at 10 % counts at 50 %; staging and full have no baseline."""
    world = make_world({})
    more = {**world.document["phases"][1], "name": "half", "for": "10m", "exposure": "50%", "approval": None}
    world.document["phases"].insert(2, more)
    first, second = judged_phases(world.plan)
    assert (first.phase, first.span.before, first.span.own) == ("canary", 0, 120)
    assert (second.phase, second.span.before, second.span.own) == ("half", 120, 40)


async def test_it_is_recorded_behind_whoever_else_records() -> None:
    """Two at the same time are both there, in a stream of their own."""
    journal, clock = RacedJournal(), FakeClock()
    plan = parse_plan(json.dumps(PLAN))
    journal.racer = f"{BACKTESTS}{rules_hash(plan)}"
    await record(journal, clock, plan, {"passes": True})
    told = [entry.data["passes"] for entry in await journal.read(journal.racer)]
    assert told == [False, True]
    assert not await journal.rollouts()


class RacedJournal(MemoryJournal):
    """Somebody else is faster, once."""

    racer: str = ""

    async def read(self, rollout: str, after: int = 0) -> Any:
        found = await super().read(rollout, after)
        if self.racer and not found:
            await self.append(rollout, 0, [NewEntry(1.0, "backtested", {"passes": False})])
        return found
