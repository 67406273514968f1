"""The candidate on an extra machine that no user reaches, and the way back proven before anybody needs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canary.errors import CandidateUnhealthy, ProviderError, ProviderUnavailable
from canary.ports import Release
from canary.testing.fly import CANDIDATE, STABLE, FlyServer
from canary.testing.fly_machines import FakeMachine


def _extra(fly: FlyServer) -> FakeMachine:
    (extra,) = (m for m in fly.machines.values() if not m.registered)
    return extra


async def test_the_extra_machine_is_out_of_everything(fly: FlyServer, release: Release, make: Any) -> None:
    """Not in the proxy, not under the app's names, not among what fly deploy changes; else as the others are."""
    access = await make().prepare(release)
    extra = _extra(fly)
    assert (extra.image.tag, extra.name, extra.resting) == ("v2.1.0", "docflow-api-canary", "")
    assert access.url == f"http://[fdaa:0:18:a7b:196:{int(extra.id[-4:], 16):x}:9ce1:2]:8080"
    assert access.headers == {}
    assert extra.config["dns"] == {"skip_registration": True}
    assert extra.config["metadata"] == {"prefect_canary": "candidate"}
    model = next(iter(fly.machines.values())).config
    for key in ("env", "guest", "services", "checks", "restart"):
        assert extra.config[key] == model[key]
    assert len(fly.machines) == 11
    assert all(m.image.tag == "v2.0.9" for m in fly.machines.values() if m.registered)


async def test_the_address_is_the_teams(fly: FlyServer, release: Release, make: Any) -> None:
    """A gateway that knows the machine by name serves as well as the private address."""
    block = make(private_url="https://{machine}.candidate.example/{app}/")
    assert (await block.prepare(release)).url == f"https://{_extra(fly).id}.candidate.example/docflow-api"


async def test_health_that_comes_late_is_waited_for(fly: FlyServer, release: Release, make: Any) -> None:
    """Forty seconds of boot and checks are within the two minutes; the start itself is waited for in few requests."""
    fly.fates.boot_seconds, fly.fates.health_seconds = 30.0, 10.0
    before = fly.clock.monotonic()
    await make().prepare(release)
    assert 39.9 <= fly.clock.monotonic() - before < 45.0
    assert 6 <= sum(asked.path.endswith("/wait") for asked in fly.log) <= 8


@pytest.mark.parametrize(
    ("fate", "said", "within"),
    [("unhealthy", r"it is started, servicecheck is critical", 125.0), ("broken", r"it is failed", 10.0)],
)
async def test_a_candidate_that_never_serves(
    fly: FlyServer, release: Release, make: Any, fate: str, said: str, within: float
) -> None:
    """Health that never comes is waited for to the end, a failed start is not; the machine and its state are named."""
    getattr(fly.fates, fate).add(CANDIDATE)
    with pytest.raises(CandidateUnhealthy, match=rf"v2.1.0 does not serve on machine \w+ \(ams\).*{said}"):
        await make().prepare(release)
    assert fly.clock.monotonic() < within


async def test_a_pruned_stable_image_fails_here(fly: FlyServer, release: Release, make: Any) -> None:
    """Not on the way back, when it would be needed; and no machine is left behind."""
    del fly.images[STABLE]
    with pytest.raises(ProviderError, match=r"(?s)made of the stable image .*v2.0.9.*Could not find image.*push it"):
        await make().prepare(release)
    assert len(fly.machines) == 10


async def test_a_candidate_that_was_never_pushed(fly: FlyServer, release: Release, make: Any) -> None:
    """The platform's own words, and nothing runs it."""
    with pytest.raises(ProviderError, match=r'Could not find image "registry.fly.io/docflow:v9"'):
        await make().prepare(Release("registry.fly.io/docflow:v9", release.stable))


async def test_what_serves_already_is_no_candidate(fly: FlyServer, release: Release, make: Any) -> None:
    """Whatever the reference calls it."""
    with pytest.raises(ProviderError, match=r"run v2.0.9 already"):
        await make().prepare(Release(STABLE, release.stable))
    assert len(fly.machines) == 10


async def test_a_fleet_with_volumes_is_refused(fly: FlyServer, release: Release, make: Any) -> None:
    """A volume belongs to one machine: an extra one would start without its data."""
    for machine in fly.machines.values():
        machine.config["mounts"] = [{"volume": "vol_1", "path": "/data"}]
    with pytest.raises(ProviderError, match=r"machine \w+ \(ams\) has a volume"):
        await make().prepare(release)


async def test_a_lost_answer_makes_no_second_machine(fly: FlyServer, release: Release, make: Any) -> None:
    """The answer to each request that changes something is lost once: prepare, called again, finds what there is."""
    block = make()
    for _ in range(2):
        fly.knobs.loses_answers = 1
        with pytest.raises(ProviderUnavailable):
            await block.prepare(release)
    await block.prepare(release)
    assert len(fly.machines) == 11
    assert _extra(fly).image.tag == "v2.1.0"


async def test_a_list_that_lags_makes_no_second_machine(fly: FlyServer, release: Release, make: Any) -> None:
    """Its name is taken: it is known to be there, and tried again."""
    await make().prepare(release)
    del _extra(fly).config["metadata"]["prefect_canary"]
    with pytest.raises(ProviderUnavailable, match="is there and was not listed yet"):
        await make().prepare(release)
    assert len(fly.machines) == 11


async def test_what_an_earlier_rollout_left_is_used(fly: FlyServer, release: Release, make: Any) -> None:
    """One extra machine at the most."""
    fly.images["registry.fly.io/docflow:v2.0.10"] = f"sha256:{10:064x}"
    await make().prepare(Release("registry.fly.io/docflow:v2.0.10", release.stable))
    await make().prepare(release)
    assert len(fly.machines) == 11
    assert _extra(fly).image.tag == "v2.1.0"


async def test_nothing_more_than_the_extra_machine_is_written(fly: FlyServer, release: Release, make: Any) -> None:
    """One machine made, one changed; no lease and no other write."""
    await make().prepare(release)
    wrote = [asked for asked in fly.log if asked.method != "GET"]
    assert [asked.method for asked in wrote] == ["POST", "POST"]
    first, second = (json.loads(asked.body) for asked in wrote)
    assert (first["config"]["image"], first["skip_launch"]) == (release.stable, True)
    assert (second["config"]["image"], second["skip_launch"]) == (CANDIDATE, False)
