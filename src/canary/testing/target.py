"""What every target must do. Subclass TargetConformance and give it a fixture `stage`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from canary.errors import ProviderError
from canary.plan.kinds import Kind
from canary.ports import Release, Target, Verification


class TargetStage(Protocol):
    """A platform to play on: stable serves everybody, the candidate is not prepared yet."""

    kind: Kind
    release: Release

    def open(self) -> Target:
        """A target made anew from the same plain fields, as the guard makes it from the vault."""

    async def candidate_dies(self) -> None:
        """From now on the candidate answers nobody."""

    async def platform_goes(self) -> None:
        """From now on the platform answers nobody."""


SOME_SHARES = {
    "fraction": (0.1, 0.005, 0.5, 0.9999),
    "boolean": (0.1, 1.0),
    "ladder": (0.1, 0.5, 1.0),
    # Of a fleet of ten.
    "k_of_n": (0.1, 0.3, 0.5, 0.9),
}
"""What is asked for in this order; a ladder must have these steps, and goes up only."""


def shown(kind: Kind, share: float) -> float:
    """What a target of that kind shows after it was asked for the share."""
    return float(share > 0) if kind.share == "boolean" else share


class TargetConformance:
    """Idempotent verbs, honest reads, and a way back that always works."""

    async def test_stable_serves_everybody_at_first(self, stage: TargetStage) -> None:
        """What is observed before a rollout is one identity, the stable one, with everybody on it."""
        async with _opened(stage) as target:
            await target.check_connection()
            assert (await target.observe()).serving() == stage.release.stable

    async def test_prepare_exposes_nobody(self, stage: TargetStage) -> None:
        """Preparing, once or twice, leaves every user on stable, and gives the same access."""
        async with _opened(stage) as target:
            first = await target.prepare(stage.release)
            assert await target.prepare(stage.release) == first
            assert (await target.observe()).serving() == stage.release.stable
            _says(await target.verify(stage.release, 0.0), "yes", 0.0)

    async def test_prepare_without_a_known_stable(self, stage: TargetStage) -> None:
        """The candidate can be prepared before the stable version was observed."""
        async with _opened(stage) as target:
            await target.prepare(Release(stage.release.candidate, ""))
            assert (await target.observe()).serving() == stage.release.stable

    async def test_each_share_is_shown(self, stage: TargetStage) -> None:
        """After a share was accepted it is read back, as finely as the kind allows, and the whole sums to 1."""
        async with _prepared(stage) as target:
            for share in SOME_SHARES[str(stage.kind.share)]:
                await target.expose(stage.release, share, epoch=1)
                _says(await target.verify(stage.release, share), "yes", shown(stage.kind, share))
                shares = (await target.observe()).shares
                assert sum(shares.values()) == pytest.approx(1.0)

    async def test_full_and_back(self, stage: TargetStage) -> None:
        """At 1 nobody is on stable; at 0 everybody is again; and the same call twice is as once."""
        async with _prepared(stage) as target:
            for share in (1.0, 1.0, 0.0, 0.0):
                await target.expose(stage.release, share, epoch=1)
                _says(await target.verify(stage.release, share), "yes", share)
                on_stable = (await target.observe()).shares.get(stage.release.stable, 0.0)
                assert on_stable == pytest.approx(1.0 - share)

    async def test_verify_is_no_echo(self, stage: TargetStage) -> None:
        """A share that is not there is a no, whatever was asked for last."""
        async with _prepared(stage) as target:
            _says(await target.verify(stage.release, 1.0), "no", 0.0)
            await target.expose(stage.release, 1.0, epoch=1)
            _says(await target.verify(stage.release, 0.0), "no", 1.0)

    async def test_lowering_with_a_dead_candidate(self, stage: TargetStage) -> None:
        """Exposure 0 needs no answer from the candidate, by who raised it nor by who comes from the vault."""
        async with _prepared(stage) as target:
            await target.expose(stage.release, 0.5, epoch=1)
            await stage.candidate_dies()
            await target.expose(stage.release, 0.0, epoch=1)
            _says(await target.verify(stage.release, 0.0), "yes", 0.0)

    async def test_lowering_by_another_with_a_dead_candidate(self, stage: TargetStage) -> None:
        """A target that has seen nothing before brings everybody back too, and sees that they are."""
        async with _prepared(stage) as target:
            await target.expose(stage.release, 0.5, epoch=1)
        await stage.candidate_dies()
        async with _opened(stage) as other:
            await other.expose(stage.release, 0.0, epoch=2)
            _says(await other.verify(stage.release, 0.0), "yes", 0.0)
            assert (await other.observe()).serving() == stage.release.stable

    async def test_made_again(self, stage: TargetStage) -> None:
        """Two targets of the same fields see what the other did."""
        async with _prepared(stage) as one, _opened(stage) as other:
            await one.expose(stage.release, 0.5, epoch=1)
            _says(await other.verify(stage.release, 0.5), "yes", shown(stage.kind, 0.5))
            await other.expose(stage.release, 0.0, epoch=2)
            _says(await one.verify(stage.release, 0.0), "yes", 0.0)

    async def test_cannot_tell(self, stage: TargetStage) -> None:
        """A platform that does not answer makes verify say so, and every other verb raise ProviderError."""
        async with _prepared(stage) as target:
            await stage.platform_goes()
            _says(await target.verify(stage.release, 0.0), "cannot tell", None)
            with pytest.raises(ProviderError):
                await target.expose(stage.release, 0.5, epoch=1)
            with pytest.raises(ProviderError):
                await target.observe()

    async def test_counts_what_it_routed(self, stage: TargetStage) -> None:
        """Requests per arm are told exactly when the kind says that the platform counts them."""
        async with _prepared(stage) as target:
            routed = (await target.verify(stage.release, 0.0)).routed
            assert (routed is not None) == stage.kind.counts_routed
            assert routed is None or (set(routed) == {"canary", "baseline"} and min(routed.values()) >= 0)


@asynccontextmanager
async def _opened(stage: TargetStage) -> AsyncIterator[Target]:
    """A target of the stage; closed twice, since closing is idempotent too."""
    target = stage.open()
    try:
        yield target
    finally:
        await target.close()
        await target.close()


@asynccontextmanager
async def _prepared(stage: TargetStage) -> AsyncIterator[Target]:
    async with _opened(stage) as target:
        await target.prepare(stage.release)
        yield target


def _says(verified: Verification, answer: str, observed: float | None) -> None:
    assert verified.answer == answer, verified.detail
    assert verified.observed == (None if observed is None else pytest.approx(observed))
