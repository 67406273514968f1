"""Any order of calls, lost answers, failures, hands in between and two conductors: a yes of verify is the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from canary.blocks.fly import FlyApp
from canary.blocks.fly_fleet import count
from canary.blocks.fly_leases import TTL
from canary.errors import CanaryError
from canary.ports import Release
from canary.testing.clock import FakeClock
from canary.testing.fly import APP, CANDIDATE, STABLE, FlyServer
from canary.testing.fly_machines import FakeMachine
from canary.testing.provider import Asked, serving

T = TypeVar("T")
SHARES = st.sampled_from([0.0, 0.0, 0.1, 0.3, 0.5, 1.0])
REGIONS = st.sampled_from(["ams", "fra", "iad"])
Held = Callable[[str, Iterable[Asked], str], None]


class Watched(FlyServer):
    """It writes down who changed which machine when: (machine, epoch of the lease, unix seconds)."""

    changes: list[tuple[str, int, float]]

    def _update(self, machine: FakeMachine, config: dict[str, Any], *, launch: bool) -> None:
        lease = machine.leased(self.clock.now())
        if lease:
            self.changes.append((machine.id, int(lease.description.rpartition(" ")[2]), self.clock.now()))
        FlyServer._update(self, machine, config, launch=launch)


class TwoConductors(RuleBasedStateMachine):
    """Epoch 1 raises and lowers; one day epoch 2 comes, and epoch 1 does not know."""

    hold: ClassVar[Held]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.fly = Watched(FakeClock())
        self.fly.changes = []
        self.release = Release(CANDIDATE, f"{STABLE}@{self.fly.images[STABLE]}")
        self.hands = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    @initialize(regions=st.lists(REGIONS, min_size=2, max_size=7), boot=st.sampled_from([0.0, 0.0, 2.0]))
    def begin(self, regions: list[str], boot: float) -> None:
        for region in regions:
            self.fly.add(region)
        self.run(self.stack.enter_async_context(serving(self.fly)))
        self.conductors = [FlyApp.from_fields("fly/api", self.fly.fields(), self.fly.clock) for _ in range(2)]
        self.fly.fates.boot_seconds = boot
        self.pass_time(20.0)

    @rule(who=st.integers(0, 1), share=SHARES)
    def expose(self, who: int, share: float) -> None:
        """Whatever it raises, it is one of ours; what is shown after it is true."""
        try:
            self.run(self.conductors[who].expose(self.release, share, epoch=who + 1))
        except CanaryError:
            return
        finally:
            self.verify(who, share)

    @rule(old=SHARES, new=SHARES)
    def both_at_once(self, old: float, new: float) -> None:
        async def race() -> None:
            one, other = self.conductors
            await asyncio.gather(
                one.expose(self.release, old, epoch=1),
                other.expose(self.release, new, epoch=2),
                return_exceptions=True,
            )

        self.run(race())

    @rule(who=st.integers(0, 1))
    def prepare(self, who: int) -> None:
        try:
            self.run(self.conductors[who].prepare(self.release))
        except CanaryError:
            return

    @rule(who=st.integers(0, 1), share=SHARES)
    def verify(self, who: int, share: float) -> None:
        looked = self.run(self.conductors[who].verify(self.release, share))
        if looked.answer == "yes":
            self._is_true(share, looked.observed)

    @rule(answers=st.integers(1, 6))
    def answers_are_lost(self, answers: int) -> None:
        self.fly.knobs.loses_answers = answers

    @rule(requests=st.integers(1, 6))
    def requests_fail(self, requests: int) -> None:
        self.fly.knobs.fails = requests

    @rule(seconds=st.sampled_from([1.0, 5.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        self.fly.clock.stand_still(seconds)  # type: ignore[attr-defined]

    @rule(region=REGIONS, image=st.sampled_from([STABLE, CANDIDATE]))
    @precondition(lambda self: self.hands < 3)
    def a_machine_comes_by_hand(self, region: str, image: str) -> None:
        self.hands += 1
        self.fly.add(region, image)

    @rule(which=st.integers(0, 20), image=st.sampled_from([STABLE, CANDIDATE]))
    def a_machine_is_changed_by_hand(self, which: int, image: str) -> None:
        here = [m for m in self.fly.machines.values() if m.registered]
        FlyServer._update(
            self.fly, here[which % len(here)], {**here[which % len(here)].config, "image": image}, launch=True
        )

    @rule(who=st.integers(0, 1), share=SHARES)
    def the_candidate_falls_ill(self, who: int, share: float) -> None:
        self.fly.fates.unhealthy.add(CANDIDATE)
        self.expose(who, share)

    @rule(share=st.sampled_from([0.0, 1.0, 0.3]))
    def when_all_is_well_it_gets_there(self, share: float) -> None:
        """Nothing fails any more, and the older conductor is gone: the newer one brings about what it is asked for."""
        self.fly.knobs.loses_answers = self.fly.knobs.fails = 0
        self.fly.fates.unhealthy.clear()
        newer = self.conductors[1]
        for _ in range(40):
            self.expose(1, share)
            looked = self.run(newer.verify(self.release, share))
            if looked.answer == "yes":
                break
            self.pass_time(1.0)
        assert looked.answer == "yes", looked.detail
        self._is_true(share, looked.observed)
        if share in (0.0, 1.0):
            assert all(m.registered for m in self.fly.machines.values()), "the machine count is restored"

    @invariant()
    def no_older_conductor_after_a_newer_one(self) -> None:
        newest: dict[str, tuple[int, float]] = {}
        for machine, epoch, at in self.fly.changes:
            former, when = newest.get(machine, (0, 0.0))
            assert epoch >= former or at - when >= TTL / 3, (machine, former, epoch)
            newest[machine] = (epoch, at)

    def teardown(self) -> None:
        try:
            for block in getattr(self, "conductors", []):
                self.run(block.close())
            self.run(self.stack.aclose())
            type(self).hold("fly", [a for a in self.fly.log if a.path.startswith(f"/v1/apps/{APP}/")], "/v1")
        finally:
            self.loop.close()

    def _is_true(self, share: float, observed: float | None) -> None:
        """What really runs, not what is shown: how many, that they serve, and that nothing else is there."""
        now = self.fly.clock.now()
        reached = [m for m in self.fly.machines.values() if m.registered]
        on = self.fly.runs(CANDIDATE)
        assert len(on) == count(share, len(reached))
        assert len(on) + len(self.fly.runs(STABLE)) == len(reached)
        assert all(self.fly.fates.healthy(m, now) for m in on)
        serving_now = [m for m in reached if self.fly.fates.healthy(m, now)]
        assert observed == pytest.approx(len(on) / len(serving_now or reached))


def test_two_conductors_and_a_platform_that_fails(hold: Held) -> None:
    """Yes is true, an older conductor changes nothing, the machine count is restored."""
    TwoConductors.hold = staticmethod(hold)
    run_state_machine_as_test(
        TwoConductors, settings=settings(max_examples=20, stateful_step_count=25, derandomize=True, deadline=None)
    )
