"""GlobalConfig beyond the suite: which path, what is read how often, and writes that do not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.blocks.global_config import READ_EVERY, GlobalConfig
from canary.errors import CredentialError, ProviderError
from canary.ports import Access, Release
from canary.testing.fakes import FakeClock
from canary.testing.global_config import GlobalConfigs

STABLE = '{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}'
RELEASE = Release('{"phase1_enabled":true}', STABLE)
BOTH = Release('{"NEXT_PUBLIC_ENABLE_FORECAST":false,"phase1_enabled":true}', STABLE)
Make = Callable[..., GlobalConfig]


def paths(server: GlobalConfigs, method: str = "GET") -> list[str]:
    return [asked.path for asked in server.log if asked.method == method]


@pytest.mark.parametrize("api", ["global-config", "edge-config"])
async def test_the_path_is_chosen(configs: GlobalConfigs, config: Make, api: str) -> None:
    """The same requests under the new name and the old one."""
    target = config(api=api)
    await target.check_connection()
    await target.expose(RELEASE, 1.0, epoch=1)
    assert (await target.verify(RELEASE, 1.0)).answer == "yes"
    assert {path.split("/")[2] for path in paths(configs) + paths(configs, "PATCH")} == {api}


async def test_off_is_the_value_that_stable_had(configs: GlobalConfigs, config: Make) -> None:
    """One request sets exactly the candidate's items, up and down; everything else is left as it is."""
    target = config()
    await target.expose(RELEASE, 0.1, epoch=1)
    assert configs.items == {"phase1_enabled": True, "NEXT_PUBLIC_ENABLE_FORECAST": True, "greeting": "hi"}
    await target.expose(RELEASE, 0.0, epoch=1)
    assert configs.items["phase1_enabled"] is False
    sent = [json.loads(asked.body) for asked in configs.log if asked.method == "PATCH"]
    item = {"operation": "upsert", "key": "phase1_enabled"}
    assert sent == [{"items": [{**item, "value": True}]}, {"items": [{**item, "value": False}]}]


async def test_only_booleans_are_an_identity(config: Make) -> None:
    """Items of other kinds are neither shown nor journaled; one cannot be switched."""
    target = config()
    assert (await target.observe()).serving() == STABLE
    assert await target.prepare(RELEASE) == Access("", {})
    with pytest.raises(ProviderError, match="no flag greeting; there are phase1_enabled"):
        await target.prepare(Release('{"greeting":true}', STABLE))


async def test_items_are_read_when_the_digest_has_changed(configs: GlobalConfigs, config: Make) -> None:
    """A look every second costs a digest; the items are read once after each change."""
    target = config()
    for _ in range(20):
        assert (await target.verify(RELEASE, 0.0)).answer == "yes"
    await target.expose(RELEASE, 1.0, epoch=1)
    for _ in range(20):
        assert (await target.verify(RELEASE, 1.0)).answer == "yes"
    assert sum(path.endswith("/items") for path in paths(configs)) == 2


async def test_reads_of_items_keep_their_distance(configs: GlobalConfigs) -> None:
    """However often the document changes, items are not read more than 20 times a minute."""
    clock = FakeClock()
    target = GlobalConfig.from_fields("global-config/docflow", configs.fields(), clock)
    began = clock.monotonic()
    for number in range(10):
        configs.items["greeting"] = str(number)
        await target.observe()
    assert sum(path.endswith("/items") for path in paths(configs)) == 10
    assert clock.monotonic() - began == pytest.approx(9 * READ_EVERY)
    await target.close()


async def test_a_change_between_digest_and_items(configs: GlobalConfigs, config: Make) -> None:
    """What was read while somebody wrote is not kept for the digest of before."""
    target = config()
    configs.stale_reads = 1
    configs.change(phase1_enabled=True)
    # The digest was of before the change, the items are of after it.
    assert (await target.verify(RELEASE, 1.0)).answer == "yes"
    configs.change(phase1_enabled=False)
    assert (await target.verify(RELEASE, 0.0)).answer == "yes"


async def test_a_stale_read_is_a_no(configs: GlobalConfigs, config: Make) -> None:
    """Until the platform shows the change, it is not verified."""
    target = config()
    await target.expose(RELEASE, 1.0, epoch=1)
    configs.stale_reads = 3
    assert (await target.verify(RELEASE, 1.0)).answer == "no"
    assert (await target.verify(RELEASE, 1.0)).answer == "yes"


async def test_a_change_without_effect_is_a_no(configs: GlobalConfigs, config: Make) -> None:
    """Accepted is not done; the same verb again does it."""
    target = config()
    configs.drops = 1
    for answer in ("no", "yes"):
        await target.expose(RELEASE, 1.0, epoch=1)
        assert (await target.verify(RELEASE, 1.0)).answer == answer


async def test_half_a_change_is_exposed_and_never_right(configs: GlobalConfigs, config: Make) -> None:
    """One of two items set is a no in both directions, and counts as users on the candidate."""
    target = config()
    configs.halves = 1
    await target.expose(BOTH, 1.0, epoch=1)
    for share in (0.0, 1.0):
        verified = await target.verify(BOTH, share)
        assert (verified.answer, verified.observed) == ("no", 1.0)
    await target.expose(BOTH, 0.0, epoch=1)
    assert (await target.verify(BOTH, 0.0)).answer == "yes"


async def test_a_lost_answer_is_asked_again(configs: GlobalConfigs, config: Make) -> None:
    """The change has happened; asking again is as once."""
    target = config()
    configs.knobs.loses_answers = 1
    with pytest.raises(ProviderError):
        await target.expose(RELEASE, 1.0, epoch=1)
    await target.expose(RELEASE, 1.0, epoch=1)
    assert (await target.verify(RELEASE, 1.0)).answer == "yes"


@pytest.mark.parametrize(
    ("changed", "field", "why"),
    [
        ({"token": "wrong-t0ken"}, "token", "401"),
        ({"config_id": "ecfg_other"}, "config_id", "no global-config ecfg_other in team team_docflow"),
        ({"config_id": "ecfg_other", "team_id": ""}, "config_id", "a team's needs team_id"),
        ({"config_id": "docflow"}, "config_id", "pattern"),
        ({"api": "flags"}, "api", "global-config"),
    ],
)
async def test_a_wrong_field_is_named(config: Make, changed: dict[str, Any], field: str, why: str) -> None:
    """Whoever reads the error knows which field to correct."""
    with pytest.raises(CredentialError, match=why) as error:
        await config(**changed).check_connection()
    assert (error.value.block, error.value.field) == ("global-config/docflow", field)
    assert "wrong-t0ken" not in str(error.value)


async def test_an_identity_that_is_no_document(configs: GlobalConfigs, config: Make) -> None:
    """A version number is not a set of flags: nothing is sent for it, and verify does not raise."""
    nonsense = Release("2.1.0", STABLE)
    with pytest.raises(ProviderError, match="no set of flags"):
        await config().expose(nonsense, 1.0, epoch=1)
    assert configs.log == []
    assert (await config().verify(nonsense, 1.0)).answer == "cannot tell"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.booleans(), min_size=3),
    candidate=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.booleans(), min_size=1),
)
async def test_there_and_back(
    configs: GlobalConfigs, config: Make, before: dict[str, bool], candidate: dict[str, bool]
) -> None:
    """Whatever was there and whatever is set: full shows the candidate's values, 0 everything as it was."""
    configs.items = dict(before)
    target = config()
    release = Release(json.dumps(candidate), str((await target.observe()).serving()))
    await target.expose(release, 1.0, epoch=1)
    assert configs.items == {**before, **candidate}
    assert (await target.verify(release, 1.0)).answer == "yes"
    await target.expose(release, 0.0, epoch=1)
    assert configs.items == before
    assert (await target.verify(release, 0.0)).answer == "yes"
