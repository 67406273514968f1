"""EnvoyRoute beyond the suite: what it sends, and what it makes of odd answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.blocks import envoy_wire as wire
from canary.blocks.envoy import EnvoyRoute
from canary.errors import CandidateUnhealthy, CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Release
from canary.testing.fakes import FakeClock

RELEASE = Release("2.1.0", "2.0.9")
KEYS = {"blue": "r.b", "green": "r.g"}


def _block(envoy: Any, **changed: Any) -> EnvoyRoute:
    return EnvoyRoute.from_fields("envoy/api", {**envoy.fields(), **changed}, FakeClock())


async def test_the_candidate_is_started_on_the_idle_colour(envoy: Any) -> None:
    """prepare asks for the idle colour, and its access reaches that colour through the internal route."""
    block = _block(envoy)
    access = await block.prepare(RELEASE)
    assert envoy.versions == {"blue": "2.0.9", "green": "2.1.0"}
    assert (access.url, access.headers["x-canary-cluster"]) == (envoy.url, "green")
    assert access.headers["x-canary-internal"] not in repr(access)
    assert envoy.log.count("POST /admin/deploy") == 1
    await block.prepare(RELEASE)
    assert envoy.log.count("POST /admin/deploy") == 1, "what runs already is not started again"
    await block.close()


async def test_the_other_colour_after_a_full_rollout(envoy: Any) -> None:
    """When green serves everybody, the next candidate goes to blue."""
    envoy.versions, envoy.runtime = {"green": "2.1.0"}, {"routing.api.api_blue": "0", "routing.api.api_green": "10000"}
    block, release = _block(envoy), Release("2.2.0", "2.1.0")
    await block.prepare(release)
    assert envoy.versions["blue"] == "2.2.0"
    await block.expose(release, 0.25, epoch=1)
    assert envoy.weights() == {"api_blue": "2500", "api_green": "7500"}
    await block.close()


async def test_without_a_deploy_url_somebody_else_starts_it(envoy: Any) -> None:
    """An own pipeline starts the candidate; prepare waits for it and asks nobody."""
    block = _block(envoy, deploy_url="")
    waiting = asyncio.create_task(block.prepare(RELEASE))
    await asyncio.sleep(0)
    envoy.versions["green"] = "2.1.0"
    assert (await waiting).headers["x-canary-cluster"] == "green"
    assert "POST /admin/deploy" not in envoy.log
    await block.close()


async def test_a_candidate_that_never_becomes_healthy(envoy: Any) -> None:
    """After `ready_within` prepare says what the candidate said last."""
    envoy.unhealthy.add("green")
    block = _block(envoy, ready_within=2)
    with pytest.raises(CandidateUnhealthy, match=r"2.1.0 is not ready on green after 2 s: /healthz answered 503"):
        await block.prepare(RELEASE)
    await block.close()


async def test_a_wrong_version_on_the_idle_colour(envoy: Any) -> None:
    """A colour that goes on answering as another version is not the candidate."""
    envoy.versions["green"] = "1.9"
    block = _block(envoy, deploy_url=None, ready_within=1)
    with pytest.raises(CandidateUnhealthy, match=r"/version said 1.9"):
        await block.prepare(RELEASE)
    await block.close()


async def test_no_idle_colour(envoy: Any) -> None:
    """While both colours serve users nothing is started over one of them."""
    envoy.versions = {"blue": "2.0.9", "green": "2.0.8"}
    envoy.runtime = {"routing.api.api_blue": "5000", "routing.api.api_green": "5000"}
    block = _block(envoy)
    with pytest.raises(ProviderError, match="no idle one"):
        await block.prepare(RELEASE)
    assert envoy.versions["green"] == "2.0.8"
    await block.close()


async def test_both_weights_in_one_request(envoy: Any) -> None:
    """A split is written at once and sums to the total, and even 0.5 % is exact."""
    block = _block(envoy)
    await block.prepare(RELEASE)
    before = len(envoy.log)
    await block.expose(RELEASE, 0.005, epoch=1)
    assert envoy.weights() == {"api_blue": "9950", "api_green": "50"}
    assert [line for line in envoy.log[before:] if "POST" in line] == ["POST /admin/runtime_modify"]
    await block.close()


async def test_lowering_is_one_request(envoy: Any) -> None:
    """Once the colours were seen, exposure 0 asks nobody anything first."""
    block = _block(envoy)
    await block.prepare(RELEASE)
    await block.expose(RELEASE, 0.5, epoch=1)
    before = len(envoy.log)
    await block.expose(RELEASE, 0.0, epoch=1)
    assert envoy.log[before:] == ["POST /admin/runtime_modify"]
    assert envoy.weights() == {"api_blue": "10000", "api_green": "0"}
    await block.close()


async def test_nobody_is_sent_to_a_dead_candidate(envoy: Any) -> None:
    """A raise is refused while the candidate does not answer, or another version answers in its place."""
    block = _block(envoy)
    await block.prepare(RELEASE)
    for running in ({}, {"green": "2.1.1"}):
        envoy.versions = {"blue": "2.0.9", **running}
        with pytest.raises(ProviderError, match="nobody was sent"):
            await block.expose(RELEASE, 0.1, epoch=1)
    assert envoy.runtime == {}
    await block.close()


async def test_a_stranger_on_the_candidates_colour_is_a_no(envoy: Any) -> None:
    """When the weight is right and the version behind it is not, the share does not hold."""
    block = _block(envoy)
    await block.prepare(RELEASE)
    await block.expose(RELEASE, 0.1, epoch=1)
    envoy.versions["green"] = "6.6.6"
    verified = await block.verify(RELEASE, 0.1)
    assert (verified.answer, verified.observed) == ("no", 0.1)
    assert "6.6.6" in verified.detail
    await block.close()


async def test_unknown_colours_are_cannot_tell(envoy: Any) -> None:
    """When no colour answers as stable or as the candidate, nothing is claimed and nothing is written."""
    envoy.versions = {}
    block = _block(envoy)
    assert (await block.verify(RELEASE, 0.0)).answer == "cannot tell"
    for share in (0.0, 0.1):
        with pytest.raises(ProviderUnavailable, match="which colour"):
            await block.expose(RELEASE, share, epoch=1)
    with pytest.raises(ProviderUnavailable, match="does not say which version"):
        await block.observe()
    assert envoy.runtime == {}
    await block.close()


@pytest.mark.parametrize(("busy", "heard"), [(1, True), (2, False)])
async def test_who_serves_users_is_asked_once_more(envoy: Any, busy: int, heard: bool) -> None:
    """Nothing could begin otherwise: an application that is busy may answer too late to the first question."""
    envoy.busy = busy
    block = _block(envoy)
    if heard:
        assert (await block.observe()).shares == {"2.0.9": 1.0}
    else:
        with pytest.raises(ProviderUnavailable, match="does not say which version"):
            await block.observe()
    await block.close()


async def test_routed_counts(envoy: Any) -> None:
    """Requests per arm follow the colours; without Envoy's statistics the weights still count."""
    block = _block(envoy)
    await block.prepare(RELEASE)
    assert (await block.verify(RELEASE, 0.0)).routed == {"canary": 10, "baseline": 90}
    envoy.stats_down = True
    verified = await block.verify(RELEASE, 0.0)
    assert (verified.answer, verified.routed) == ("yes", None)
    await block.close()


async def test_a_wrong_token_names_its_field(envoy: Any) -> None:
    """check_connection names the field; verify stays silent about the value, and cannot tell."""
    block = _block(envoy, admin_token="another-t0ken")
    with pytest.raises(CredentialError) as error:
        await block.check_connection()
    assert error.value.field == "admin_token"
    assert "another-t0ken" not in str(error.value), "Envoy's proxy repeats it"
    verified = await block.verify(RELEASE, 0.0)
    assert (verified.answer, "another-t0ken" in verified.detail) == ("cannot tell", False)
    await block.close()


async def test_a_cluster_that_envoy_does_not_know(envoy: Any) -> None:
    """A typing error in a cluster's name is found before anybody rolls out."""
    block = _block(envoy, clusters={"blue": "api_blue", "green": "api_gren"})
    with pytest.raises(CredentialError, match="knows no cluster 'api_gren'"):
        await block.check_connection()
    await block.close()


async def test_never_an_answer(envoy: Any, misbehaviour: Any) -> None:
    """A platform that hangs costs each verb six seconds and no more."""
    block = _block(envoy)
    envoy.misbehave = misbehaviour.hang
    loop = asyncio.get_running_loop()
    begun = loop.time()
    verified, observed, exposed = await asyncio.gather(
        block.verify(RELEASE, 0.0), block.observe(), block.expose(RELEASE, 0.0, 1), return_exceptions=True
    )
    assert verified.answer == "cannot tell"  # type: ignore[union-attr]
    assert isinstance(observed, ProviderUnavailable)
    assert isinstance(exposed, ProviderUnavailable)
    assert loop.time() - begun < 7.5
    await block.close()


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"entries": 3}', "<html>"])
async def test_garbage_is_cannot_tell(envoy: Any, misbehaviour: Any, text: str) -> None:
    """Answers that make no sense are no observation."""
    block = _block(envoy)
    envoy.misbehave = misbehaviour.says(200, text)
    assert (await block.verify(RELEASE, 0.0)).answer == "cannot tell"
    with pytest.raises(ProviderError):
        await block.observe()
    await block.close()


@pytest.mark.parametrize("clusters", [{}, {"blue": "a"}, {"blue": "a", "green": "a"}, {"red": "a", "green": "b"}])
def test_two_colours_and_a_known_start(clusters: dict[str, str]) -> None:
    """Anything but two different clusters, of which one is the initial one, is refused when the block is made."""
    fields = {
        "router_url": "http://r",
        "admin_url": "http://a",
        "admin_token": "x",
        "internal_token": "y",
        "runtime_prefix": "routing.api",
        "clusters": clusters,
    }
    with pytest.raises(CredentialError, match="colour"):
        EnvoyRoute.from_fields("envoy/api", fields)


@given(st.floats(0, 1, allow_subnormal=False), st.integers(100, 100_000))
def test_weights_mean_the_share(share: float, total: int) -> None:
    """Units are within half a unit of the share, and only 0 and 1 mean nobody and everybody."""
    units = wire.units(share, total)
    assert abs(units - share * total) <= 1
    assert (units == 0) == (share == 0)
    assert (units == total) == (share == 1)


@given(st.integers(0, 10_000))
def test_what_is_written_is_read(units: int) -> None:
    """The split read from Envoy's runtime is the one that was written."""
    entries = {"r.b": {"final_value": str(10_000 - units)}, "r.g": {"final_value": str(units)}}
    split = wire.shares({"entries": entries}, KEYS, "blue", 10_000)
    assert split["green"] == pytest.approx(units / 10_000)
    assert sum(split.values()) == pytest.approx(1)


def test_absent_weights_are_the_configuration() -> None:
    """Before any write, and after a restart of Envoy, everybody is where the configuration sends them."""
    assert wire.shares({"entries": {}}, KEYS, "green", 100) == {"blue": 0.0, "green": 1.0}


@pytest.mark.parametrize("values", [("0", "0"), ("-1", "5"), ("nan", "1"), ("x", "1"), ("inf", "1")])
def test_weights_that_make_no_split(values: tuple[str, str]) -> None:
    """Weights without a meaning are no observation."""
    entries = {key: {"final_value": value} for key, value in zip(KEYS.values(), values, strict=True)}
    with pytest.raises(ProviderUnavailable):
        wire.shares({"entries": entries}, KEYS, "blue", 10_000)


VERSIONS = st.sampled_from(["2.0.9", "2.1.0", "3.0.0", None])


@given(VERSIONS, VERSIONS)
def test_sides_are_never_mixed_up(blue: str | None, green: str | None) -> None:
    """A colour known to run one version of the release is never taken for the other."""
    versions = {"blue": blue, "green": green}
    who = wire.sides(versions, RELEASE)
    if who is None:
        assert blue == green or {blue, green} <= {"3.0.0", None}
    else:
        assert versions[who.stable] != RELEASE.candidate
        assert versions[who.candidate] != RELEASE.stable
        assert {who.stable, who.candidate} == {"blue", "green"}
