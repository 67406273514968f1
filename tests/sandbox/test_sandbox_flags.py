"""The flag service's wire, and how fast the servers learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import World

FEATURE_FLAGS = (
    "NEXT_PUBLIC_ENABLE_AI_QUEUE",
    "NEXT_PUBLIC_ENABLE_FORECAST",
    "NEXT_PUBLIC_ENABLE_EXPORT_SCHEDULE",
)
INITIAL = {"phase1_enabled": False, **dict.fromkeys(FEATURE_FLAGS, True)}


def url(world: World) -> str:
    return f"{world.sandbox.block_fields()['flags/docflow']['url']}/flags"


async def test_the_document_has_an_etag_that_changes_with_it(world: World) -> None:
    """Who knows the ETag is told 304 until a flag changes; back at the same flags it is the same ETag."""
    first = await world.http.get(url(world), headers=world.flags)
    assert first.json() == INITIAL
    known = {**world.flags, "If-None-Match": first.headers["etag"]}
    assert (await world.http.get(url(world), headers=known)).status_code == 304
    await world.patch(phase1_enabled=True)
    changed = await world.http.get(url(world), headers=known)
    assert (changed.status_code, changed.json()) == (200, {**INITIAL, "phase1_enabled": True})
    await world.patch(phase1_enabled=False)
    assert (await world.http.get(url(world), headers=known)).status_code == 304


async def test_a_patch_changes_what_it_names_and_answers_the_new_document(world: World) -> None:
    """Done twice it says the same."""
    change = {"phase1_enabled": True, FEATURE_FLAGS[0]: False}
    for _ in range(2):
        answer = await world.http.patch(url(world), json=change, headers=world.flags)
        assert (answer.status_code, answer.json()) == (200, {**INITIAL, **change})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"phase1_enabled": True, "phase2_enabled": True}, 404),
        ({"phase1_enabled": True, FEATURE_FLAGS[0]: "false"}, 422),
        ({"phase1_enabled": 1}, 422),
        ({"phase1_enabled": None}, 422),
        ([True], 422),
        ("phase1_enabled", 422),
    ],
)
async def test_a_bad_patch_is_refused_as_a_whole(world: World, change: Any, status: int) -> None:
    """An unknown flag is 404, a value that is no boolean 422; the good half of it is not done either."""
    answer = await world.http.patch(url(world), json=change, headers=world.flags)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert (await world.http.get(url(world), headers=world.flags)).json() == INITIAL


@pytest.mark.parametrize("content", [b"", b"{", b'{"phase1_enabled": true', b"x" * 100_000])
async def test_a_body_that_is_no_json_or_too_long_is_refused(world: World, content: bytes) -> None:
    """422, not a crash."""
    assert (await world.http.patch(url(world), content=content, headers=world.flags)).status_code == 422


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic wrong", "wörng"])
async def test_without_the_token_nothing_is_told_or_changed(world: World, method: str, header: str | None) -> None:
    """401, whatever is shown instead."""
    headers = [] if header is None else [(b"Authorization", header.encode())]
    answer = await world.http.request(method, url(world), json={"phase1_enabled": True}, headers=headers)
    assert answer.status_code == 401
    assert "phase1" not in answer.text
    assert (await world.http.get(url(world), headers=world.flags)).json() == INITIAL


async def test_one_service_does_not_take_the_token_of_another(world: World) -> None:
    """The admin token opens no flags."""
    assert (await world.http.get(url(world), headers=world.admin)).status_code == 401


@pytest.mark.parametrize("on", [True, False])
async def test_the_servers_learn_a_change_at_once(world: World, on: bool) -> None:
    """A page shows or hides its feature shortly after the flag was switched (0.3 s on an idle machine)."""
    await world.weigh(10_000)

    async def shown() -> bool:
        return '"feature": true' in (await world.get("/queue", x_user="ann")).text

    async def hidden() -> bool:
        return not await shown()

    await world.patch(phase1_enabled=not on)
    await world.until(hidden if on else shown)
    await world.patch(phase1_enabled=on)
    assert await world.until(shown if on else hidden) < 1.0
