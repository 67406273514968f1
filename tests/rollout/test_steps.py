"""Preflight asks a target that splits users in steps only whether it can show what the plan wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canary.errors import ProviderUnavailable, Refused
from canary.rollout.adapters import Opener
from canary.rollout.conducting import pass_preflight, taking
from canary.testing.fakes import FakeTarget


@dataclass(frozen=True)
class Steps(FakeTarget):
    """A target with a ladder."""

    ladder: tuple[float, ...] = (0.0, 0.1, 1.0)
    away: bool = False
    asked: list[float] = field(default_factory=list)

    async def takes(self, share: float) -> None:
        self.asked.append(share)
        if self.away:
            raise ProviderUnavailable("it is away")
        if share not in self.ladder:
            raise Refused(f"api cannot show {share:.0%}", "use another share")


async def pass_with(world: Any, steps: Steps) -> None:
    """Preflight of the world's plan, whose target `api` has steps."""

    def block(ref: str, fields: Mapping[str, Any]) -> object:
        return steps if ref == "envoy/api" else opener.block(ref, fields)

    opener: Opener = world.opener
    await world.begin()
    async with taking(world.stores, "r1") as seat:
        await pass_preflight(seat, world.load, replace(opener, block=block))


async def test_every_exposure_of_the_plan_is_asked_for(world: Any) -> None:
    """Each once, and what can be shown is let through."""
    steps = Steps(world.platforms["api"])
    await pass_with(world, steps)
    assert steps.asked == [0.0, 0.1, 1.0]
    assert "preflight_passed" in await world.types()


async def test_a_share_that_cannot_be_shown_is_refused(world: Any) -> None:
    """In the target's words, before anything is touched."""
    with pytest.raises(Refused, match=r"(?s)api cannot show 10%.*use another share"):
        await pass_with(world, Steps(world.platforms["api"], ladder=(0.0, 0.25, 1.0)))
    assert world.platforms["api"].sent == []
    assert "preflight_passed" not in await world.types()


async def test_a_target_that_does_not_say(world: Any) -> None:
    """Not knowing is no yes."""
    with pytest.raises(Refused, match="target api does not say which shares it can show: it is away"):
        await pass_with(world, Steps(world.platforms["api"], away=True))
