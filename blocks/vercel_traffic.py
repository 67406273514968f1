"""Moving a Vercel project's production traffic: up the stages of a rolling release, and back at once."""

from __future__ import annotations

from collections.abc import Awaitable

from canary.blocks import vercel_wire as wire
from canary.blocks.http import within
from canary.blocks.vercel_api import Api
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Clock, Release

POLL_SECONDS = 0.25
SETTLE_SECONDS = 2.0
"""How long a move of the domains is watched. It goes on afterwards; looking again tells how it ended."""
LOOK_SECONDS = 1.5
"""What a look may cost before exposure 0 is sent without it."""


class Traffic:
    """Raises and lowers. What this process has raised is lowered by a request, whatever a read says."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._raised = False

    async def lower(self, stable: str) -> None:
        """Everybody to stable. Sends nothing when nothing was raised: a rollback also stops automatic deployments."""
        if self._raised or not await self._untouched(stable):
            await self._moved(self._api.rollback(stable), stable)

    async def raise_to(self, release: Release, share: float) -> None:
        """To a stage of the rolling release, or to everybody. `release.candidate` is a deployment's id."""
        seen = await self._api.look()
        ladder = seen.rolling.ladder if seen.rolling else seen.project.ladder
        self._allowed(seen, ladder, release, share)
        if seen.settled_on(release.candidate):
            self._no_step_back(1.0, share)
        elif ladder:
            await self._climb(seen.rolling, release, share)
        elif seen.moving_to(release.candidate):
            await self._settled(release.candidate)
        else:
            self._raised = True
            await self._moved(self._api.promote(release.candidate), release.candidate)

    async def _climb(self, rolling: wire.Rolling | None, release: Release, share: float) -> None:
        self._raised = True
        now = rolling or await self._api.start(release.candidate)
        while share < 1 and now and now.share < share - 1e-6 and now.stage + 2 < len(now.ladder):
            now = await self._api.approve(release.candidate, now.stage + 1)
        if share < 1:
            self._no_step_back(now.share if now else 1.0, share)
            return
        await self._api.complete(release.candidate)
        await self._settled(release.candidate)

    async def _untouched(self, stable: str) -> bool:
        """What cannot be seen counts as touched."""
        try:
            async with within(LOOK_SECONDS, "look"):
                return (await self._api.look()).settled_on(stable)
        except (ProviderError, CredentialError):
            return False

    async def _moved(self, sent: Awaitable[None], deployment: str) -> None:
        """A refusal is none when the platform is already there."""
        try:
            await sent
        except ProviderUnavailable:
            raise
        except ProviderError:
            if not (await self._api.look()).settled_on(deployment):
                raise
            return
        await self._settled(deployment)

    async def _settled(self, deployment: str) -> None:
        """Until the platform has moved the domains, for a while. Raises ProviderError when it could not."""
        ends = self._clock.monotonic() + SETTLE_SECONDS
        while self._clock.monotonic() < ends:
            try:
                seen = await self._api.look()
            except ProviderUnavailable:
                return  # it was accepted; whether it holds is for the next look to tell
            job = seen.project.job
            if job and job.to == deployment and job.status == "failed":
                raise ProviderError(
                    f"{self._api.http.ref}: Vercel could not move every domain to {deployment}",
                    "look at the project's domains in Vercel; asking again moves them again",
                )
            if seen.settled_on(deployment):
                return
            await self._clock.sleep(POLL_SECONDS)

    def _allowed(self, seen: wire.Seen, ladder: tuple[float, ...], release: Release, share: float) -> None:
        """Raises ProviderError for a share that is no stage, and for traffic that is somebody else's."""
        if wire.at(share, ladder or (1.0,)) is None:
            why = "" if ladder else "; rolling releases are off"
            raise self._refused(
                f"{share * 100:g}% is not possible: there are {wire.steps(ladder)}{why}",
                "use one of these shares, or change the stages of the project's rolling release",
            )
        job = seen.project.job
        if job and job.under_way and job.to != release.candidate:
            raise self._refused(f"domains are being moved to {job.to}", "wait until Vercel has finished")
        strangers = seen.shares().keys() - {release.candidate, release.stable}
        if strangers:
            raise self._refused(
                f"production is served by {', '.join(sorted(strangers))}, not only by {release.stable}",
                "somebody deployed or promoted meanwhile: roll back, or start again from what is there now",
            )

    def _no_step_back(self, now: float, share: float) -> None:
        if now > share + 1e-6:
            raise self._refused(
                f"{now * 100:g}% of users are on the candidate already; stages go up only, not to {share * 100:g}%",
                "roll back to 0% first",
            )

    def _refused(self, what: str, fix: str) -> ProviderError:
        return ProviderError(f"{self._api.http.ref}: {what}", fix)
