"""Sending exposure to targets, and seeing what they show. What comes back is always an observation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from canary.errors import CredentialError, JournalUnavailable, ProviderError
from canary.ports import Clock, Release, Target, Verification
from canary.rollout.events import Identities, Shown
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Releases = Mapping[str, Identities]


def _release(identities: Identities) -> Release:
    return Release(identities.candidate, identities.stable)


async def look(clock: Clock, target: Target, identities: Identities, share: float) -> Verification:
    """Never raises: no answer in time is `cannot tell`."""
    try:
        return await within(clock, PROVIDER_TIMEOUT, target.verify(_release(identities), share))
    except TimeoutError:
        return Verification("cannot tell", None, f"no answer within {PROVIDER_TIMEOUT:.0f} s")
    except (ProviderError, CredentialError) as error:
        return Verification("cannot tell", None, error.what)


async def look_at_all(
    clock: Clock, targets: Mapping[str, Target], releases: Releases, share: float
) -> dict[str, Verification]:
    """What every target shows against `share`, asked at the same time."""
    names = list(releases)
    answers = await asyncio.gather(*(look(clock, targets[n], releases[n], share) for n in names))
    return dict(zip(names, answers, strict=True))


def shown(looked: Mapping[str, Verification]) -> dict[str, Shown]:
    """The journal's form of what was seen."""
    return {n: Shown(answer=v.answer, observed=v.observed, detail=v.detail) for n, v in looked.items()}


async def send(clock: Clock, target: Target, identities: Identities, share: float, epoch: int) -> str | None:
    """Ask one target for the share. None, or why it is not known to have taken it."""
    try:
        await within(clock, PROVIDER_TIMEOUT, target.expose(_release(identities), share, epoch))
    except TimeoutError:
        return f"no answer within {PROVIDER_TIMEOUT:.0f} s"
    except (ProviderError, CredentialError) as error:
        return error.what
    return None


async def raise_all(
    clock: Clock,
    targets: Mapping[str, Target],
    releases: Releases,
    share: float,
    epoch: int,
    may_send: Callable[[], Awaitable[None]],
) -> dict[str, Verification]:
    """In the plan's order, what others call first; stops at the first target that did not take it.

    `may_send` is asked as the last statement before each send and raises when this process must not any more. Where
    only the journal did not answer it, what was sent by then is looked at; JournalUnavailable when that is nothing.
    """
    sent = False
    for name, identities in releases.items():
        try:
            await may_send()
        except JournalUnavailable:
            if sent:
                break
            raise
        sent = True
        if await send(clock, targets[name], identities, share, epoch):
            break
    return await look_at_all(clock, targets, releases, share)


async def lower_all(
    clock: Clock, targets: Mapping[str, Target], releases: Releases, epoch: int
) -> dict[str, Verification]:
    """Exposure 0 to all targets at once, then what they show. Needs no lease: lowering is always allowed."""

    async def lowered(name: str) -> Verification:
        await send(clock, targets[name], releases[name], 0.0, epoch)
        return await _down(clock, targets[name], releases[name], epoch)

    answers = await asyncio.gather(*map(lowered, releases))
    return dict(zip(releases, answers, strict=True))


async def keep_down(
    clock: Clock, targets: Mapping[str, Target], releases: Releases, epoch: int
) -> dict[str, Verification]:
    """What every target shows; exposure 0 is sent again to each that does not show it."""
    answers = await asyncio.gather(*(_down(clock, targets[n], releases[n], epoch) for n in releases))
    return dict(zip(releases, answers, strict=True))


async def _down(clock: Clock, target: Target, identities: Identities, epoch: int) -> Verification:
    """Whoever shows users is lowered as soon as it is seen: no other target's silence is waited for."""
    seen = await look(clock, target, identities, 0.0)
    if seen.answer != "yes":
        await send(clock, target, identities, 0.0, epoch)
    return seen
