"""The sandbox follows the platforms: weights, flags and the candidate's process, each set once; samples come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from canary.errors import ProviderUnavailable
from canary.sandbox.platforms.following import Follower, take
from canary.sandbox.platforms.street import Street, gathered
from canary.sandbox.platforms.town import Town
from canary.testing.fly_machines import FakeMachine
from canary.testing.samples import Samples
from canary.testing.vercel_state import Rolled, Shown


@pytest.fixture
def follower(town: Town, street: Street) -> Follower:
    return Follower(town, street)


async def test_where_nothing_changes_nothing_is_asked(follower: Follower, town: Town, moved: Any) -> None:
    """The sandbox begins as the platforms do: everybody on stable, the features' flags on, phase 1 off. What was not
    deployed by a machine's image makes no machine healthy."""
    moved.well = True
    for _ in range(3):
        await follower.step()
    assert (moved.weights, moved.flags, moved.deployed) == ([], [], [])
    assert town.fly.fates.unhealthy


async def test_the_candidate_runs_once_a_machine_has_its_image_and_is_healthy_once_it_answers(
    follower: Follower, town: Town, moved: Any, launch: Callable[[], FakeMachine]
) -> None:
    """No user is sent to a version whose process has not said that it is well."""
    launch()
    town.clock.stand_still(10.0)  # type: ignore[attr-defined]
    for _ in range(2):
        await follower.step()
    assert moved.deployed == [{"colour": "green", "version": "2.1.0"}]
    assert moved.weights == []
    moved.well = True
    await follower.step()
    await follower.step()
    assert moved.weights == [{"routing.api.api_green": "1000", "routing.api.api_blue": "9000"}]


async def test_a_stage_of_the_rolling_release_is_a_weight_of_the_web(
    follower: Follower, town: Town, moved: Any
) -> None:
    """10 %, everybody, back: one request for each."""
    stages = tuple(town.vercel.stages)
    rolled = Rolled("dpl_candidate", "dpl_stable", stages)
    for shown in (Shown("dpl_stable", rolled), Shown("dpl_candidate"), Shown("dpl_stable")):
        town.vercel.change(shown)
        await follower.step()
        await follower.step()
    assert [each["routing.web.web_green"] for each in moved.weights] == ["1000", "10000", "0"]


async def test_what_the_sandbox_does_not_take_is_set_by_the_next_step(
    follower: Follower, town: Town, moved: Any
) -> None:
    """A failure is said, and nothing is taken for done."""
    town.configs.change(phase1_enabled=True)
    moved.down = True
    with pytest.raises(ProviderUnavailable, match=r"PATCH .*/flags answered 502"):
        await follower.step()
    moved.down = False
    await follower.step()
    await follower.step()
    assert [flags["phase1_enabled"] for flags in moved.flags] == [True]


async def test_a_sandbox_that_is_gone_is_no_answer(moved: Any, http: aiohttp.ClientSession) -> None:
    """The error names what was asked and no token."""
    gone = moved.config().model_copy(update={"flags_url": "http://127.0.0.1:1"})
    with pytest.raises(ProviderUnavailable) as caught:
        await Street(gone, http).set_flags({"a": True})
    assert "http://127.0.0.1:1/flags" in str(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_samples_come_from_what_answers(street: Street) -> None:
    """With the label `instance`; a server that does not tell leaves a gap, and an old sample is forgotten."""
    samples = Samples()
    for at in (100.0, 140.0):
        for colour, text in (await gathered(street, ("blue", "green"))).items():
            take(samples, colour, text, at)
    labels = (("instance", "blue"), ("version", "2.0.9"))
    assert samples.series == {("hits_total", labels): [(100.0, 7.0), (140.0, 7.0)]}
    samples.forget(120.0)
    assert samples.series == {("hits_total", labels): [(140.0, 7.0)]}
    samples.forget(150.0)
    assert samples.series == {}
