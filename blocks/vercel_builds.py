"""Deployments of a Vercel project: which one a candidate is, and whether it can serve."""

from __future__ import annotations

from dataclasses import dataclass, field

from canary.blocks import vercel_wire as wire
from canary.blocks.http import DEADLINE, within
from canary.blocks.vercel_api import Api
from canary.errors import CandidateUnhealthy, ProviderError
from canary.ports import Clock

POLL_SECONDS = 2.0
FAILED = ("ERROR", "CANCELED", "DELETED", "BLOCKED")
SWITCHED_OFF = "canarySwitchedOff"
BUILT_OF = "canaryBuiltOf"
"""Metadata of a build without a flag: which flag, and of which deployment. A lost answer is found again by it."""


@dataclass(frozen=True, slots=True)
class Builds:
    """Deployments by id, or by the version in their metadata. `ids`: version → id, found once and then kept."""

    api: Api
    clock: Clock
    meta: str
    ready_within: float
    ids: dict[str, str] = field(default_factory=dict)

    async def id_of(self, candidate: str) -> str:
        """The candidate's deployment id. Raises ProviderError unless exactly one deployment has that version."""
        if candidate.startswith("dpl_"):
            return candidate
        if candidate not in self.ids:
            self.ids[candidate] = await self._versioned(candidate)
        return self.ids[candidate]

    async def ready(self, candidate: str) -> wire.Build:
        """The candidate's deployment once it is built. Raises CandidateUnhealthy."""
        async with within(DEADLINE, f"{self.api.http.ref}: find the candidate"):
            wanted = await self.id_of(candidate)
        ends = self.clock.monotonic() + self.ready_within
        while (found := await self._usable(wanted)).state != "READY":
            if self.clock.monotonic() >= ends:
                raise CandidateUnhealthy(
                    f"{self.api.http.ref}: {wanted} is {found.state} after {self.ready_within:g} s",
                    "look at its build log in Vercel",
                )
            await self.clock.sleep(POLL_SECONDS)
        return found

    async def still_there(self, stable: str) -> None:
        """Raises ProviderError when the way back is gone: Vercel prunes old deployments."""
        found = await self.api.build(stable)
        state = found.state if found else "gone"
        if state != "READY":
            raise ProviderError(
                f"{self.api.http.ref}: the deployment to go back to, {stable}, is {state}",
                "there is no rollback to it; look at the project's deployment retention in Vercel",
            )

    async def _usable(self, wanted: str) -> wire.Build:
        found = await self.api.build(wanted)
        if found is None:
            raise self._unhealthy(f"there is no deployment {wanted}", "is it one of this project, and not deleted?")
        if found.project and found.project != self.api.project:
            raise self._unhealthy(f"{wanted} belongs to {found.project}", "deploy the candidate in this project")
        if found.state in FAILED:
            raise self._unhealthy(
                f"{wanted} is {found.state}: {self.api.http.hide(found.why)}", "look at its build log"
            )
        if found.target != "production":
            raise self._unhealthy(f"{wanted} is a {found.target} deployment", _STAGED)
        return found

    async def _versioned(self, version: str) -> str:
        named = [build for build in await self.api.builds() if build.meta.get(self.meta) == version]
        found = [build for build in named if BUILT_OF not in build.meta]
        if not found:
            what = f"no production deployment has the metadata {self.meta}={version}"
            raise self._unhealthy(what, f"{_STAGED} --meta {self.meta}={version}")
        if len(found) > 1:
            raise ProviderError(
                f"{self.api.http.ref}: {self.meta}={version} is on several deployments: "
                f"{', '.join(build.id for build in found)}",
                "name the candidate by its id, dpl_…, or give each deployment a version of its own",
            )
        return found[0].id

    def _unhealthy(self, what: str, fix: str) -> CandidateUnhealthy:
        return CandidateUnhealthy(f"{self.api.http.ref}: {what}", fix)


_STAGED = "deploy it with: vercel deploy --prod --skip-domain"
