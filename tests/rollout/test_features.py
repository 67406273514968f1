"""Rollback by the smallest step that works: one feature is switched off, and then it is judged anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from canary.errors import BadUsage
from canary.plan.model import Arms, Signal
from canary.ports import Increment, Scrape
from canary.rollout import events as e
from canary.rollout.by_hand import switch_off
from canary.rollout.decide import SETTLES
from canary.testing.flags import FakeFlags, FakeFlagTarget

FLAGS = {"SPRING": True, "QUEUE": True, "EXPORT": True}
EDITS: dict[str, Any] = {
    "targets.flags": {"use": "flags/shop", "set": FLAGS, "read_by": ["api", "web"]},
    "signals.errors.endpoint": "route",
    "features": {
        "queue": {"flag": "QUEUE", "endpoints": ["/queue"]},
        "export": {"flag": "EXPORT", "endpoints": ["/export"]},
        "search": {"flag": "NEXT_PUBLIC_SEARCH", "endpoints": ["/search"]},
    },
    "phases.1.triggers": [{"errors": "any", "on": "features"}],
}
PER_FEATURE, OTHER = 0.2, 0.4
"""Shares of the requests that each feature's endpoint has, and that all the others have."""


@dataclass
class Shop:
    """The service behind the world's metrics: which features fail, as long as their flags are on.

    plain: share of the canary's other requests that fail, whatever the flags say.
    """

    world: Any
    flags: FakeFlags
    fails: set[str] = field(default_factory=set)
    plain: float = 0.0

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        scrapes = await self.world.metrics.read({"errors": signals["errors"]}, arms, since, until)
        return [Scrape(each.at, {name: self._of(name, each.signals["errors"]) for name in signals}) for each in scrapes]

    def _of(self, measure: str, every: Mapping[Any, Increment]) -> dict[Any, Increment]:
        return {arm: self._arm(measure, arm, found.total) for arm, found in every.items()}

    def _arm(self, measure: str, arm: str, total: float) -> Increment:
        parts = measure.partition(" on ")[2]
        named = ["queue", "export", "search"] if parts in ("", "features") else parts.split(", ")
        on = [name for name in named if name in self.fails and self.flags.now.get(name.upper(), True)]
        requests = total * PER_FEATURE * len(named) + (0.0 if parts else total * OTHER)
        bad = total * PER_FEATURE * 0.3 * len(on) + (0.0 if parts else total * OTHER * self.plain)
        return Increment(requests, bad if arm == "canary" else 0.0)

    async def check_connection(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def shop(make_world: Callable[..., Any]) -> Shop:
    """A world with one target more: flags, of which each feature has one; the last feature's is none of them."""
    world = make_world(EDITS)
    flags = FakeFlags(world.clock, {"SPRING": False, "QUEUE": True, "EXPORT": True})
    del world.platforms["flags"]
    found, block = Shop(world, flags), world._block
    mine: dict[str, object] = {"flags/shop": FakeFlagTarget(flags), "scraper/shop": found}
    world._block = lambda ref, fields: mine.get(ref) or block(ref, fields)
    return found


def off(state: Any) -> bool:
    return bool(state.without_a_feature)


async def test_only_the_feature_that_fails_is_switched_off(shop: Shop) -> None:
    """Every bad event is its own: its flag goes off within a second, nothing else moves, and a person decides."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    state = await shop.world.until(off)
    assert shop.flags.now == {"SPRING": True, "QUEUE": False, "EXPORT": True}
    assert shop.world.shares() == [0.1, 0.1]
    assert state.features_off == ("queue",)
    assert "queue was switched off, and that was enough: of " in state.hold.reason
    lines = await shop.world.lines()
    intended = next(line for line in lines if line.type == "feature_off_intended")
    assert shop.flags.sent[-1] == (pytest.approx(intended.at, abs=1.0), {"QUEUE": False})
    recovered = next(line for line in lines if line.type == "feature_recovered")
    assert SETTLES < recovered.at - intended.at < 300
    task.cancel()


async def test_nothing_rises_by_itself_and_a_resumed_rollout_keeps_it_off(shop: Shop, ended: Any, person: Any) -> None:
    """The hold lasts; resumed, it is judged anew, and everybody gets the candidate without the feature."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    await shop.world.until(off)
    await shop.world.clock.sleep(7000)
    assert shop.world.shares() == [0.1, 0.1]
    await shop.world.says(e.ResumeAsked(**person()))
    state = await ended(task)
    assert state.ended.outcome == "promoted"
    assert state.features_off == ("queue",)
    assert shop.flags.now == {"SPRING": True, "QUEUE": False, "EXPORT": True}


async def test_a_hold_that_nobody_ends_goes_back(shop: Shop, ended: Any) -> None:
    """All old again, with the feature's flag as it was."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    state = await ended(task)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "undecided")
    assert shop.flags.now == {"SPRING": False, "QUEUE": True, "EXPORT": True}
    assert shop.world.shares() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("fails", "plain"),
    [({"queue", "export"}, 0.0), ({"queue"}, 0.5), (set(), 0.3), ({"search"}, 0.0), ({"queue", "search"}, 0.0)],
    ids=["two features", "the rest, too", "the rest", "no flag of its own", "two, one without a flag"],
)
async def test_what_is_not_one_features_alone_goes_back_whole(
    shop: Shop, ended: Any, fails: set[str], plain: float
) -> None:
    """At once, with no flag tried first."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails, shop.plain = fails, plain
    state = await ended(task)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "fail")
    assert "feature_off_intended" not in await shop.world.types()


async def test_a_flag_that_does_not_help_is_not_enough(shop: Shop, ended: Any) -> None:
    """Its readers do not follow it: the errors go on, and everything goes back."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    await shop.world.until(lambda s: s.feature_off is not None)
    shop.fails, shop.plain = set(), 0.3
    state = await ended(task)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "fail")
    assert state.ended_at - state.feature_off.at < 60


@pytest.mark.parametrize("trouble", ["unreachable", "refuses"])
async def test_a_flag_that_cannot_be_switched_is_given_up(shop: Shop, ended: Any, trouble: str) -> None:
    """Asked again and again until `rollback.within` is over; then everything goes back, flags as soon as they can."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    setattr(shop.flags, trouble, "for good")
    state = await shop.world.until(lambda s: s.rollback is not None)
    assert 300 <= state.rollback.started_at - state.feature_off.at < 320
    assert shop.world.shares() == [0.0, 0.0]
    setattr(shop.flags, trouble, "")
    assert (await ended(task)).ended.outcome == "rolled_back"
    assert len([sent for _, sent in shop.flags.sent if sent == {"QUEUE": False}]) > 5


async def test_too_few_requests_to_tell_go_back_in_time(shop: Shop, ended: Any) -> None:
    """Switched off, and then nobody comes: that nothing fails is no recovery."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    await shop.world.until(lambda s: s.feature_off is not None)
    shop.world.metrics.rate = 0.01
    state = await ended(task)
    assert state.ended.outcome == "rolled_back"
    assert "feature_recovered" not in await shop.world.types()


async def test_a_target_that_drifts_meanwhile_is_put_right(shop: Shop) -> None:
    """Somebody moves another target while the recovery is looked at: it gets its share back; the feature stays off."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    await shop.world.until(lambda s: s.feature_off is not None and s.soaking == "canary")
    shop.world.platforms["web"].change_by_hand(0.0)
    state = await shop.world.until(off)
    assert shop.world.shares() == [0.1, 0.1]
    assert "exposure_drifted" in await shop.world.types()
    assert shop.flags.now["QUEUE"] is False
    assert state.rollback is None
    task.cancel()


async def test_an_abort_wins_over_a_feature(shop: Shop, ended: Any, person: Any) -> None:
    """While its recovery is looked at."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.fails = {"queue"}
    await shop.world.until(lambda s: s.feature_off is not None)
    await shop.world.says(e.AbortAsked(**person()))
    state = await ended(task)
    assert (state.ended.outcome, state.rollback.cause) == ("rolled_back", "abort")
    assert shop.flags.now == {"SPRING": False, "QUEUE": True, "EXPORT": True}


async def test_a_journal_that_is_away_delays_no_flag(shop: Shop, ended: Any) -> None:
    """It goes off all the same; what was intended is journaled later, and the silence takes everything back."""
    shop.world.journal.last = ("away", "judged", {"changed": True, "phase": "canary"})
    task = shop.world.start()
    await shop.world.approve("owner", "lead")
    shop.fails = {"queue"}
    while not shop.world.journal.away:
        await shop.world.clock.sleep(0.5)
    gone = shop.world.clock.now()
    await shop.world.clock.sleep(30)
    shop.world.journal.away = False
    state = await ended(task)
    assert state.ended.outcome == "rolled_back"
    assert shop.flags.sent[-1][0] - gone < 15


async def test_a_person_switches_one_off(shop: Shop, person: Any) -> None:
    """Whatever the rules say: it is seen off, nothing fails since, and it is held."""
    task = shop.world.start()
    await shop.world.in_canary()
    await switch_off(shop.world.stores, "r1", e.FeatureOffAsked(feature="export", **person()))
    state = await shop.world.until(off)
    assert state.features_off == ("export",)
    assert "no rule fails over" in state.hold.reason
    assert shop.flags.now["EXPORT"] is False
    task.cancel()


@pytest.mark.parametrize(
    ("feature", "said"),
    [("serach", "the plan has no feature 'serach'"), ("search", "no target of the plan switches search by itself")],
)
async def test_a_feature_that_cannot_be_switched_is_said(shop: Shop, person: Any, feature: str, said: str) -> None:
    """Before anything is journaled, with what would be right."""
    task = shop.world.start()
    await shop.world.in_canary()
    with pytest.raises(BadUsage) as refused:
        await switch_off(shop.world.stores, "r1", e.FeatureOffAsked(feature=feature, **person()))
    assert said in refused.value.what
    assert "feature_off_asked" not in await shop.world.types()
    task.cancel()


async def test_a_feature_is_switched_off_once(shop: Shop, person: Any) -> None:
    """Asked for again, it is said that it is off; and before users come, that there is nothing to switch."""
    asked = e.FeatureOffAsked(feature="queue", **person())
    task = shop.world.start()
    await shop.world.until(lambda s: s.approval is not None)
    with pytest.raises(BadUsage, match="not in the soak"):
        await switch_off(shop.world.stores, "r1", asked)
    await shop.world.in_canary()
    await switch_off(shop.world.stores, "r1", asked)
    await shop.world.until(off)
    with pytest.raises(BadUsage, match="is switched off already"):
        await switch_off(shop.world.stores, "r1", asked)
    task.cancel()


async def test_the_next_conductor_goes_on_with_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed right behind the intent: whoever comes next switches it off, and sees to the recovery."""
    task = shop.world.start()
    await shop.world.in_canary()
    shop.flags.unreachable = True
    shop.fails = {"queue"}
    await shop.world.until(lambda s: s.feature_off is not None)
    await shop.world.die(task)
    shop.flags.unreachable = False
    await shop.world.clock.sleep(21)
    monkeypatch.setattr("canary.rollout.conducting.holder", lambda: "second")
    async with shop.world.conductor() as (_, conductor):
        again = asyncio.create_task(conductor.run_phase("canary"))
        state = await shop.world.until(off)
        again.cancel()
    assert shop.flags.now == {"SPRING": True, "QUEUE": False, "EXPORT": True}
    assert state.takeovers == 1
