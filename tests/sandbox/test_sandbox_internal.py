"""Staging on internal traffic only: at exposure 0 the prepared candidate answers internal users and nobody else."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from canary.blocks.envoy import EnvoyRoute
from canary.blocks.registry import open_block
from canary.ports import Release

if TYPE_CHECKING:
    from .conftest import CANDIDATE, World
else:
    CANDIDATE = "2.1.0"

STABLE = "2.0.9"
USERS = 400
PATHS = ("/queue", "/analytics", "/export", "/api/documents", "/version", "/nowhere")


def forged(token: str) -> Iterator[dict[str, str]]:
    """What an ordinary user may try; the first is what every user sends."""
    green = {"x-canary-cluster": "green"}
    return itertools.cycle(
        [
            {},
            green,
            {"x-canary-internal": "guessed", **green},
            {"x-canary-internal": "", **green},
            {"x-canary-internal": token[:-1], **green},
            {"x-canary-internal": f"{token}x", **green},
            {"x-canary-internal": token.swapcase(), **green},
            {"x-canary-internal": f"guessed,{token[:8]}", **green},
            {"x-canary-token": token, **green},
            {"x-internal-user": "1", **green},
            {"authorization": f"Bearer {token}", **green},
            {"cookie": f"x-canary-internal={token}; x-canary-cluster=green"},
        ]
    )


async def versions(world: World, users: list[Mapping[str, str]]) -> Counter[tuple[str, str]]:
    """(colour, version) → how many of these requests it answered; a few at a time."""
    few = asyncio.Semaphore(20)

    async def one(path: str, headers: Mapping[str, str]) -> tuple[str, str]:
        async with few:
            answer = await world.http.get(f"{world.router}{path}", headers=dict(headers))
            return answer.headers["x-docflow-colour"], answer.headers["x-docflow-version"]

    asked = (one(path, headers) for path, headers in zip(itertools.cycle(PATHS), users))
    return Counter(await asyncio.gather(*asked))


async def test_only_internal_users_reach_the_candidate_at_exposure_0(world: World) -> None:
    """Of 400 users on six paths, most of them with forged headers, not one; with the access of `prepare`, always.

    Said by the servers' own answers, and by Envoy's count of what it sent to the candidate's public clusters.
    """
    fields = world.sandbox.block_fields()
    target = open_block("envoy/docflow-web", fields["envoy/docflow-web"])
    assert isinstance(target, EnvoyRoute)
    access = await target.prepare(Release(CANDIDATE, STABLE))
    before = [await world.routed(f"{layer}_green") for layer in ("api", "web")]
    tries = forged(world.sandbox.state.internal_token)
    users: list[Mapping[str, str]] = [{"x-user": f"user-{n}", **next(tries)} for n in range(USERS)]
    assert await versions(world, users) == {("blue", STABLE): USERS}
    assert [await world.routed(f"{layer}_green") for layer in ("api", "web")] == before
    internal: list[Mapping[str, str]] = [{"x-user": f"user-{n}", **access.headers} for n in range(24)]
    assert await versions(world, internal) == {("green", CANDIDATE): 24}
    await target.close()
