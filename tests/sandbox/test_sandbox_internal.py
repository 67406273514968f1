"""Staging on internal traffic only: at exposure 0 the prepared candidate answers internal users and nobody else."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from canary.blocks.envoy import EnvoyRoute
from canary.blocks.registry import open_block
from canary.ports import Release

if TYPE_CHECKING:
    from .conftest import World

CANDIDATE, STABLE = "2.1.0", "2.0.9"
PATHS = ("/queue", "/analytics", "/export", "/api/documents", "/version", "/nowhere")


def forged(token: str) -> list[dict[str, str]]:
    """What an ordinary user may try; the first is what every user sends."""
    green = {"x-canary-cluster": "green"}
    return [
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


async def versions(world: World, requests: Iterable[tuple[str, Mapping[str, str]]]) -> Counter[str]:
    """Version → how many of these (path, headers) it answered, each by another user; a few at a time."""
    few = asyncio.Semaphore(20)

    async def one(user: int, path: str, headers: Mapping[str, str]) -> str:
        async with few:
            named = {"x-user": f"user-{user}", **headers}
            answer = await world.http.get(f"{world.router}{path}", headers=named)
            return answer.headers["x-docflow-version"]

    asked = (one(user, path, headers) for user, (path, headers) in enumerate(requests))
    return Counter(await asyncio.gather(*asked))


async def test_only_internal_users_reach_the_candidate_at_exposure_0(world: World) -> None:
    """Of 432 users on six paths, most of them with forged headers, not one; with the access of `prepare`, always.

    Said by the servers' own answers, and by Envoy's count of what it sent to the candidate's public clusters.
    """
    fields = world.sandbox.block_fields()
    target = open_block("envoy/docflow-web", fields["envoy/docflow-web"])
    assert isinstance(target, EnvoyRoute)
    access = await target.prepare(Release(CANDIDATE, STABLE))
    before = [await world.routed(f"{layer}_green") for layer in ("api", "web")]
    tries = list(itertools.product(PATHS, forged(world.sandbox.state.internal_token))) * 6
    assert await versions(world, tries) == {STABLE: 432}
    assert [await world.routed(f"{layer}_green") for layer in ("api", "web")] == before
    assert await versions(world, [(path, access.headers) for path in PATHS]) == {CANDIDATE: len(PATHS)}
    await target.close()
