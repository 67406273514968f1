"""Feature flags that are compiled into a deployment (NEXT_PUBLIC_…): off means a new build."""

from __future__ import annotations

import re
from dataclasses import dataclass

from canary.blocks import vercel_wire as wire
from canary.blocks.http import DEADLINE, within
from canary.blocks.vercel_api import Api
from canary.blocks.vercel_builds import BUILT_OF, FAILED, SWITCHED_OFF, Builds
from canary.blocks.vercel_traffic import Traffic
from canary.errors import ProviderError
from canary.ports import Release


@dataclass(frozen=True, slots=True)
class EnvFlags:
    """Flags of one project. The builds have no domain until they are promoted."""

    api: Api
    builds: Builds
    traffic: Traffic

    async def switch_off(self, flag: str) -> str:
        """The id of the deployment that serves everybody without the flag; asked again, the same one.

        Raises ProviderError while production is split, CandidateUnhealthy when the build fails.
        """
        if not re.fullmatch(r"[A-Za-z_]\w*", flag):
            raise ProviderError(f"{self.api.http.ref}: {flag!r} is no environment variable", "name it as in Vercel")
        async with within(DEADLINE, f"{self.api.http.ref}: switch {flag} off"):
            source = await self._source()
            if source.meta.get(SWITCHED_OFF) == flag:
                return source.id
            await self.api.set_env(flag, "false")
            asked = await self._asked_before(flag, source)
            asked = asked or await self.api.redeploy(source, {SWITCHED_OFF: flag, BUILT_OF: source.id})
        built = await self.builds.ready(asked.id)
        async with within(DEADLINE, f"{self.api.http.ref}: promote {built.id}"):
            await self.traffic.raise_to(Release(built.id, source.id), 1.0)
        return built.id

    async def _source(self) -> wire.Build:
        """What serves everybody now."""
        seen = await self.api.look()
        source = None if seen.rolling else await self.api.build(seen.project.production)
        if source is None:
            raise ProviderError(
                f"{self.api.http.ref}: no single deployment serves everybody, so that a flag cannot be built away",
                "finish the rollout or roll it back first",
            )
        return source

    async def _asked_before(self, flag: str, source: wire.Build) -> wire.Build | None:
        """A build for this that has not failed; the newest."""
        ours = {SWITCHED_OFF: flag, BUILT_OF: source.id}
        fits = [b for b in await self.api.builds() if ours.items() <= b.meta.items() and b.state not in FAILED]
        return max(fits, key=lambda b: b.created, default=None)
