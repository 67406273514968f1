"""Machines on their way: in slices of a call's time, one of a region at a time, and only by who conducts now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canary.blocks.fly import FlyApp
from canary.blocks.fly_leases import Superseded
from canary.blocks.http import DEADLINE
from canary.errors import ProviderError, ProviderUnavailable, Refused
from canary.ports import Release, Stepwise
from canary.testing.fly import CANDIDATE, STABLE, FlyServer
from canary.testing.fly_machines import FakeLease

CALLS = 60


async def _until(block: FlyApp, release: Release, share: float, look: Callable[[], None] = lambda: None) -> int:
    """Exposed again and again, as a conductor does, until verified; how many calls it took."""
    for call in range(1, CALLS):
        before = block._clock.monotonic()
        await block.expose(release, share, epoch=1)
        assert block._clock.monotonic() - before < DEADLINE
        look()
        if (await block.verify(release, share)).answer == "yes":
            return call
        await block._clock.sleep(1.0)
    raise AssertionError(f"{share} was not reached in {CALLS} calls")


async def test_twenty_machines_in_three_regions(fly: FlyServer, release: Release, make: Any) -> None:
    """Each call ends within six seconds and goes on where the last one ended; a region misses one machine at most."""
    for region in ("ams", "ams", "ams", "ams", "fra", "fra", "fra", "iad", "iad", "iad"):
        fly.add(region)
    fly.fates.boot_seconds, fly.fates.health_seconds = 3.0, 2.0
    away: list[int] = []

    def look() -> None:
        now = fly.clock.now()
        for region in ("ams", "fra", "iad"):
            here = [m for m in fly.machines.values() if m.region == region]
            away.append(sum(not fly.fates.healthy(m, now) for m in here))

    fly.clock.stand_still(60.0)  # type: ignore[attr-defined]
    block = make()
    began = fly.clock.now()
    assert await _until(block, release, 1.0, look) > 3
    assert len(fly.runs(CANDIDATE)) == 20
    assert max(away) == 1
    # Eight machines of one region, five seconds each, and what is between two calls.
    assert fly.clock.now() - began < 90.0
    away.clear()
    await _until(block, release, 0.0, look)
    assert len(fly.runs(STABLE)) == 20
    assert max(away) <= 4


async def test_a_canary_is_spread_and_told_as_it_is(fly: FlyServer, release: Release, make: Any) -> None:
    """A quarter of ten machines is three, one in each region; 0.3 is what is observed."""
    block = make()
    await block.expose(release, 0.25, epoch=1)
    assert sorted(m.region for m in fly.runs(CANDIDATE)) == ["ams", "fra", "iad"]
    looked = await block.verify(release, 0.25)
    assert (looked.answer, looked.observed) == ("yes", pytest.approx(0.3))
    assert looked.detail == "3 of 10 machines run v2.1.0"
    shares = (await block.observe()).shares
    assert shares[f"{CANDIDATE}@{fly.images[CANDIDATE]}"] == pytest.approx(0.3)


async def test_only_the_image_is_changed(fly: FlyServer, release: Release, make: Any) -> None:
    """The whole config goes back as it came, with what nobody here has heard of."""
    for machine in fly.machines.values():
        machine.config["containers"] = [{"name": "side", "future": {"x": [1, None]}}]
    before = {m.id: dict(m.config) for m in fly.machines.values()}
    block = make()
    await _until(block, release, 1.0)
    for machine in fly.machines.values():
        assert machine.config == {**before[machine.id], "image": CANDIDATE}
    await _until(block, release, 0.0)
    assert {m.config["image"] for m in fly.machines.values()} == {release.stable}


async def test_all_get_the_image_that_was_looked_at(fly: FlyServer, release: Release, make: Any) -> None:
    """A tag pushed anew after the staging checks changes nothing: the digest that the extra machine runs goes out."""
    block = make()
    await block.prepare(release)
    fly.images[f"{CANDIDATE}@old"] = fly.images[CANDIDATE]
    fly.images[CANDIDATE] = f"sha256:{99:064x}"
    await _until(block, release, 1.0)
    assert {m.image.digest for m in fly.machines.values()} == {fly.images[f"{CANDIDATE}@old"]}


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_the_extra_machine_goes(fly: FlyServer, release: Release, make: Any, share: float) -> None:
    """At full and on the way back the fleet has as many machines as before; while it has not, verify says so."""
    block = make()
    await block.prepare(release)
    await block.expose(release, 0.5, epoch=1)
    assert len(fly.machines) == 11
    fly.clock.stand_still(5.0)  # type: ignore[attr-defined]
    await _until(block, release, share)
    assert len(fly.machines) == 10
    await block.prepare(release)
    if share == 1.0:
        assert "is still there" in (await block.verify(release, share)).detail


async def test_an_extra_machine_that_stays_is_no_verified_rollback(fly: FlyServer, release: Release, make: Any) -> None:
    """Its removal fails: users are back, and it is said what is left; the next call removes it."""
    block = make()
    await block.prepare(release)
    extra = next(m for m in fly.machines.values() if not m.registered)
    extra.lease = _foreign(fly)
    with pytest.raises(ProviderError, match="lease currently held"):
        await block.expose(release, 0.0, epoch=1)
    looked = await block.verify(release, 0.0)
    assert (looked.answer, looked.observed) == ("no", 0.0)
    assert f"machine {extra.id} (ams) is still there" in looked.detail
    extra.lease = None
    assert await _until(block, release, 0.0) == 1


def _foreign(fly: FlyServer) -> Any:
    return FakeLease("theirs", fly.clock.now() + 30.0, "fly deploy", owner="ann@example.com")


async def test_a_bad_candidate_takes_one_machine_a_region(fly: FlyServer, release: Release, make: Any) -> None:
    """On the way to full nothing goes on beside a machine that does not come back, however often it is asked."""
    fly.fates.unhealthy.add(CANDIDATE)
    block = make()
    for _ in range(4):
        await block.expose(release, 1.0, epoch=1)
    assert sorted(m.region for m in fly.runs(CANDIDATE)) == ["ams", "fra", "iad"]
    looked = await block.verify(release, 1.0)
    assert looked.answer == "no"
    assert "does not serve: it is started, servicecheck is critical" in looked.detail
    assert await _until(block, release, 0.0) == 1


async def test_one_machine_cannot_be_split(fly: FlyServer, release: Release, make: Any) -> None:
    """10 % of one machine would be everybody; all or nothing is possible."""
    for machine in list(fly.machines.values())[1:]:
        fly.remove(machine)
    block = make()
    with pytest.raises(ProviderError, match=r"with one machine .* 10% would be everybody"):
        await block.expose(release, 0.1, epoch=1)
    assert fly.runs(CANDIDATE) == []
    await _until(block, release, 1.0)
    await _until(block, release, 0.0)


async def test_which_shares_it_takes_is_known_before(fly: FlyServer, make: Any) -> None:
    """Ten machines take any; one takes all or nothing, and says so; an empty group says nothing. Nothing is changed."""
    block = make()
    assert isinstance(block, Stepwise)
    for share in (0.0, 0.01, 0.5, 1.0):
        await block.takes(share)
    one, *others = fly.machines.values()
    for machine in others:
        fly.remove(machine)
    fly.clock.stand_still(5.0)  # type: ignore[attr-defined]
    for share in (0.0, 1.0):
        await block.takes(share)
    with pytest.raises(Refused, match=r"(?s)cannot show 10%, only 0% and 100%: with one machine.*scale the app"):
        await block.takes(0.1)
    fly.remove(one)
    with pytest.raises(ProviderError, match="has no machine in the process group"):
        await block.takes(0.1)
    assert {asked.method for asked in fly.log} == {"GET"}


async def test_an_older_conductor_has_no_effect(fly: FlyServer, release: Release, make: Any) -> None:
    """Whatever it asks for, the lowering too: every machine names the newer epoch, even those that needed no change."""
    old, new = make(), make()
    await old.expose(release, 0.5, epoch=1)
    await new.expose(release, 0.0, epoch=2)
    before = {m.id: m.instance_id for m in fly.machines.values()}
    with pytest.raises(ProviderError, match="lease currently held"):
        await old.expose(release, 0.5, epoch=1)
    for share in (0.5, 1.0, 0.0):
        fly.clock.stand_still(2.0)  # type: ignore[attr-defined]
        with pytest.raises(Superseded, match="belongs to the conductor of epoch 2; this one has 1"):
            await old.expose(release, share, epoch=1)
    assert {m.id: m.instance_id for m in fly.machines.values()} == before
    assert (await new.verify(release, 0.0)).answer == "yes"


async def test_an_update_between_read_and_write_has_no_effect(fly: FlyServer, release: Release, make: Any) -> None:
    """The version that was read goes with the write: what somebody changed meanwhile is not overwritten."""

    class Meanwhile:
        """A clock of the block that lets somebody act at the last look at it before the write."""

        def __init__(self) -> None:
            self.machine = next(iter(fly.machines.values()))
            self.armed = False

        def now(self) -> float:
            return fly.clock.now()

        def monotonic(self) -> float:
            reads = [a for a in fly.log if a.method == "GET" and a.path.endswith(self.machine.id)]
            if self.armed and reads:
                self.armed = False
                fly.images[HOTFIX] = f"sha256:{7:064x}"
                fly.change(self.machine, HOTFIX)
            return fly.clock.monotonic()

        async def sleep(self, seconds: float) -> None:
            await fly.clock.sleep(seconds)

    clock = Meanwhile()
    block = FlyApp.from_fields("fly/api", fly.fields(), clock)
    clock.armed = True
    with pytest.raises(ProviderError, match=r"answered 409: aborted: machine update failed due to concurrent update"):
        await block.expose(release, 0.1, epoch=1)
    assert clock.machine.config["image"] == HOTFIX
    await block.close()


HOTFIX = "registry.fly.io/docflow:hotfix"


async def test_a_deploy_by_hand_holds_its_machines(fly: FlyServer, release: Release, make: Any) -> None:
    """What fly deploy has leased is left to it and named; the others are moved, and later that one too."""
    held = next(iter(fly.machines.values()))
    held.lease = _foreign(fly)
    block = make()
    with pytest.raises(ProviderUnavailable, match=rf"{held.id} is leased by ann@example.com \(fly deploy\)"):
        await block.expose(release, 1.0, epoch=1)
    assert held not in fly.runs(CANDIDATE)
    assert len(fly.runs(CANDIDATE)) > 3
    fly.clock.stand_still(31.0)  # type: ignore[attr-defined]
    await _until(block, release, 1.0)
    assert len(fly.runs(CANDIDATE)) == 10


async def test_a_conductor_that_comes_again_finds_its_leases(fly: FlyServer, release: Release, make: Any) -> None:
    """The same epoch in a new process, or after a lost answer, goes on without waiting for a lease to end."""
    first, again = make(), make()
    fly.knobs.loses_answers = 10
    with pytest.raises(ProviderUnavailable):
        await first.expose(release, 0.5, epoch=1)
    before = fly.clock.monotonic()
    await again.expose(release, 0.5, epoch=1)
    assert (await again.verify(release, 0.5)).answer == "yes"
    assert fly.clock.monotonic() - before < DEADLINE


async def test_sleeping_machines_are_not_woken(fly: FlyServer, release: Release, make: Any) -> None:
    """What the proxy has stopped gets the image at full, and stays stopped."""
    sleeper = next(m for m in fly.machines.values() if m.region == "iad")
    fly.rest(sleeper)
    block = make()
    await _until(block, release, 0.5)
    assert sleeper not in fly.runs(CANDIDATE)
    await _until(block, release, 1.0)
    assert (sleeper.image.tag, sleeper.resting) == ("v2.1.0", "stopped")
    await _until(block, release, 0.0)
    assert (sleeper.image.tag, sleeper.resting) == ("v2.0.9", "stopped")


async def test_machines_made_by_hand_count(fly: FlyServer, release: Release, make: Any) -> None:
    """A fleet that grows meanwhile is followed; another image of somebody's is left alone, and never verified."""
    block = make()
    await _until(block, release, 1.0)
    late = fly.add("syd")
    assert "wanted are 11" in (await block.verify(release, 1.0)).detail
    fly.clock.stand_still(5.0)  # type: ignore[attr-defined]
    await _until(block, release, 1.0)
    assert late.image.tag == "v2.1.0"
    fly.images[HOTFIX] = f"sha256:{7:064x}"
    late.lease = None
    fly.change(late, HOTFIX)
    with pytest.raises(AssertionError, match="was not reached"):
        await _until(block, release, 0.0)
    assert late.config["image"] == HOTFIX
    assert len(fly.runs(STABLE)) == 10
    assert "runs hotfix, which is neither" in (await block.verify(release, 0.0)).detail


async def test_a_read_that_lags_is_no_observation(fly: FlyServer, release: Release, make: Any) -> None:
    """Who has the platform's word for a change is not talked out of it by an older answer; nothing changes twice."""
    block = make()
    await _until(block, release, 1.0)
    fly.stale_reads = 1
    looked = await block.verify(release, 0.0)
    assert (looked.answer, looked.observed) == ("cannot tell", None)
    assert "as it was before its last change" in looked.detail
    before = {m.id: m.instance_id for m in fly.machines.values()}
    fly.clock.stand_still(5.0)  # type: ignore[attr-defined]
    fly.stale_reads = 100
    with pytest.raises(ProviderUnavailable, match="is still shown as it was"):
        await block.expose(release, 1.0, epoch=1)
    assert {m.id: m.instance_id for m in fly.machines.values()} == before


async def test_a_stable_image_pruned_meanwhile_is_said(fly: FlyServer, release: Release, make: Any) -> None:
    """The way back fails in plain words, machine by machine, and is a no; pushed again, it succeeds."""
    block = make()
    await block.expose(release, 0.3, epoch=1)
    pruned = fly.images.pop(STABLE)
    with pytest.raises(ProviderError, match=r"Could not find image .*v2.0.9"):
        await block.expose(release, 0.0, epoch=1)
    assert (await block.verify(release, 0.0)).answer == "no"
    fly.images[STABLE] = pruned
    fly.clock.stand_still(5.0)  # type: ignore[attr-defined]
    await _until(block, release, 0.0)


async def test_the_way_back_must_be_known(fly: FlyServer, release: Release, make: Any) -> None:
    """Without a stable image nothing is sent."""
    with pytest.raises(ProviderError, match="not known which image to go back to"):
        await make().expose(Release(CANDIDATE, ""), 0.0, epoch=1)
    assert [asked.method for asked in fly.log] == ["GET"]


async def test_limits_are_waited_for(fly: FlyServer, release: Release, make: Any) -> None:
    """A 429 had no effect: it is sent again after Retry-After, three times in all."""
    block = make()
    fly.knobs.rate_limited = 2
    before = fly.clock.monotonic()
    await block.observe()
    assert fly.clock.monotonic() - before == pytest.approx(2.0)
    fly.knobs.rate_limited = 3
    with pytest.raises(ProviderUnavailable, match="429: too many requests"):
        await block.observe()
