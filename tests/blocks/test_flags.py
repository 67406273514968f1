"""FlagService beyond the suite: whose values come back, and documents that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from canary.blocks.flags import FlagService
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Access, Release

STABLE = '{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}'
RELEASE = Release('{"phase1_enabled":true}', STABLE)
BOTH = Release('{"NEXT_PUBLIC_ENABLE_FORECAST":false,"phase1_enabled":true}', STABLE)


def _block(flags: Any, **changed: Any) -> FlagService:
    return FlagService.from_fields("flags/docflow", {**flags.fields(), **changed})


async def test_only_the_candidates_flags_are_touched(flags: Any) -> None:
    """What somebody else set meanwhile is left as it is, up and down."""
    block = _block(flags)
    await block.expose(RELEASE, 0.1, epoch=1)
    assert flags.flags["phase1_enabled"] is True
    flags.flags["NEXT_PUBLIC_ENABLE_FORECAST"] = False
    await block.expose(RELEASE, 0.0, epoch=1)
    assert flags.flags == {"phase1_enabled": False, "NEXT_PUBLIC_ENABLE_FORECAST": False}
    await block.close()


async def test_prepare_changes_nothing(flags: Any) -> None:
    """There is nothing to start, and nowhere to look: the access is empty."""
    block = _block(flags)
    assert await block.prepare(RELEASE) == Access("", {})
    assert flags.log == ["GET /flags"]
    await block.close()


async def test_a_mix_is_exposed_and_never_right(flags: Any) -> None:
    """Half of the flags switched is a no in both directions, and counts as users on the candidate."""
    block = _block(flags)
    flags.flags["phase1_enabled"] = True
    for share in (0.0, 1.0):
        verified = await block.verify(BOTH, share)
        assert (verified.answer, verified.observed) == ("no", 1.0)
        assert "wanted were" in verified.detail
    await block.close()


async def test_a_release_that_changes_nothing(flags: Any) -> None:
    """When stable already has the candidate's values, every share holds."""
    same = Release('{"phase1_enabled":false}', STABLE)
    block = _block(flags)
    for share in (0.0, 1.0):
        verified = await block.verify(same, share)
        assert (verified.answer, verified.observed) == ("yes", share)
    await block.close()


async def test_an_unknown_flag_is_refused_before_anything(flags: Any) -> None:
    """A flag that the service does not have is named, with those it has."""
    block = _block(flags)
    release = Release('{"phase2_enabled":true}', STABLE)
    with pytest.raises(ProviderError, match="no flag phase2_enabled; there are phase1_enabled"):
        await block.prepare(release)
    with pytest.raises(ProviderError, match="phase2_enabled"):
        await block.expose(release, 1.0, epoch=1)
    assert (await block.verify(release, 0.0)).answer == "cannot tell"
    await block.close()


@pytest.mark.parametrize("identity", ["", "2.1.0", "[]", '{"a": 1}', "null"])
async def test_an_identity_that_is_no_document(flags: Any, identity: str) -> None:
    """A version number is not a set of flags, and nothing is sent for it."""
    block = _block(flags)
    with pytest.raises(ProviderError, match="no set of flags"):
        await block.expose(Release(identity, STABLE), 1.0, epoch=1)
    assert flags.log == []
    await block.close()


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "<html>"])
async def test_a_document_that_makes_no_sense(flags: Any, misbehaviour: Any, text: str) -> None:
    """Anything but an object of booleans is no observation."""
    flags.misbehave = misbehaviour.says(200, text)
    block = _block(flags)
    with pytest.raises(ProviderUnavailable):
        await block.observe()
    assert (await block.verify(RELEASE, 0.0)).answer == "cannot tell"
    await block.close()


async def test_a_wrong_token_names_its_field(flags: Any) -> None:
    """The block and the field are named, the value is not."""
    block = _block(flags, token="wrong-t0ken")
    with pytest.raises(CredentialError) as error:
        await block.check_connection()
    assert (error.value.block, error.value.field) == ("flags/docflow", "token")
    assert "wrong-t0ken" not in str(error.value)
    await block.close()
