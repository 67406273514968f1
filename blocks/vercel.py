"""A Vercel project whose production traffic a rollout moves from one deployment to another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PrivateAttr

from canary.blocks import vercel_wire as wire
from canary.blocks.base import CanaryBlock, MaybeSecret, Secret, Url
from canary.blocks.http import DEADLINE, Http, bearer, within
from canary.blocks.vercel_api import Api
from canary.blocks.vercel_builds import Builds
from canary.blocks.vercel_flags import EnvFlags
from canary.blocks.vercel_traffic import Traffic
from canary.errors import CredentialError, ProviderError, Refused
from canary.ports import Access, Exposure, Release, Verification

_OFF = 1e-6


class VercelProject(CanaryBlock):
    """Candidate and stable are deployments: by id (dpl_…), the candidate also by the version in its metadata.

    A share is a stage of the project's rolling release, which goes on only when this block approves it. Without
    rolling releases there are 0 and 1, by instant promotion and instant rollback. Vercel has no precondition.
    """

    _block_type_name = "Canary: Vercel project"
    _block_type_slug = "vercel"
    _description = "A Vercel project, whose rolling releases, promotions and rollbacks a rollout makes."

    token: Secret = Field(description="Access token of an account or team that may deploy the project to production.")
    project_id: Annotated[str, Field(pattern=r"^prj_\w+$")] = Field(
        description="The project's id, prj_…: in its settings, or in .vercel/project.json after `vercel link`."
    )
    team_id: Annotated[str, Field(pattern=r"^(team_\w+)?$")] = Field(
        default="", description="The team's id, team_…; empty for a project of a personal account."
    )
    bypass_secret: MaybeSecret = Field(
        default=None,
        description="The project's protection bypass for automation, with which staging reaches the candidate. "
        "Empty when its deployments are not protected.",
    )
    version_meta: Annotated[str, Field(pattern=r"^[\w.-]+$")] = Field(
        default="version",
        description="The key of the metadata by which a deployment says its version: vercel deploy --meta KEY=VERSION.",
    )
    ready_within: float = Field(default=600.0, gt=0, description="Seconds a deployment may take to be built.")
    url: Url = Field(default="https://api.vercel.com", description="Where Vercel's API answers.")

    _http: Http = PrivateAttr()
    _api: Api = PrivateAttr()
    _builds: Builds = PrivateAttr()
    _traffic: Traffic = PrivateAttr()

    def open(self) -> None:
        """Make what the verbs need, from the fields; no I/O."""
        self._http = self._http_client()
        as_ = bearer("token", self.token.get_secret_value())
        self._api = Api(self._http, self.url, as_, self.project_id, self.team_id)
        self._builds = Builds(self._api, self._clock, self.version_meta, self.ready_within)
        self._traffic = Traffic(self._api, self._clock)

    async def check_connection(self) -> None:
        """Raises CredentialError for a project that is not there, would move by itself, or has another secret."""
        async with within(DEADLINE, f"{self.ref}: check the connection"):
            said = await self._api.ask_or_none(f"/v9/projects/{self.project_id}", rollbackInfo="true")
        if said is None:
            where = f"in team {self.team_id}" if self.team_id else "for this token; a team's project needs team_id"
            raise CredentialError(self.ref, "project_id", f"there is no project {self.project_id} {where}")
        project = wire.project(said)
        if project.by_itself:
            fix = "in its settings, let every stage of the rolling release wait for an approval"
            raise CredentialError(self.ref, "project_id", f"{project.by_itself}: {fix}")
        secret = self.bypass_secret.get_secret_value() if self.bypass_secret else None
        if secret and project.bypasses is not None and secret not in project.bypasses:
            raise CredentialError(self.ref, "bypass_secret", "the project knows no such protection bypass")

    async def ladder(self) -> tuple[float, ...]:
        """The shares above 0 that the project can show, rising, the last 1."""
        async with within(DEADLINE, f"{self.ref}: read the stages"):
            return (await self._api.look()).project.ladder or (1.0,)

    async def takes(self, share: float) -> None:
        """Raises Refused, naming the shares there are, when the project cannot show this one."""
        ladder = await self.ladder()
        if share > _OFF and wire.at(share, ladder) is None:
            raise Refused(
                f"{self.ref} cannot show {share * 100:g}%: it has {wire.steps(ladder)}",
                "use one of these in the plan, or change the stages of the project's rolling release",
            )

    async def prepare(self, release: Release) -> Access:
        """Wait until the candidate is built, look whether stable is still there; nobody is sent anywhere.

        Raises CandidateUnhealthy, after `ready_within` too, and ProviderError when stable is gone.
        """
        found = await self._builds.ready(release.candidate)
        if found.id == release.stable:
            raise ProviderError(f"{self.ref}: {release.candidate} is {found.id}, which is stable", "name a newer one")
        if release.stable:
            await self._builds.still_there(release.stable)
        secret = self.bypass_secret
        headers = {"x-vercel-protection-bypass": secret.get_secret_value()} if secret else {}
        return Access(f"https://{found.url}", headers)

    async def observe(self) -> Exposure:
        """Shares by deployment id, as the platform reports them."""
        async with within(DEADLINE, f"{self.ref}: observe"):
            return Exposure((await self._api.look()).shares())

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """Start, approve or complete the rolling release, or promote; for 0 roll back, which needs no candidate.

        Nothing checks `epoch`. Raises ProviderError for a share that is no stage, and for production that serves
        neither of the two.
        """
        async with within(DEADLINE, f"{self.ref}: expose"):
            if share <= 0:
                await self._traffic.lower(release.stable)
            else:
                await self._traffic.raise_to(await self._named(release), share)

    async def verify(self, release: Release, share: float) -> Verification:
        """Reads project and rolling release. While domains are being moved the answer is no."""
        try:
            async with within(DEADLINE, f"{self.ref}: verify"):
                seen = await self._api.look()
                return wire.compare(seen, await self._known(release, seen, share), share)
        except (ProviderError, CredentialError) as error:
            return Verification("cannot tell", None, error.what)

    async def switch_off(self, flag: str) -> str:
        """Set the variable to false for production, build the deployment in production anew, and promote that.

        The new deployment's id. Takes a build's time. Raises ProviderError while production is split.
        """
        flags = EnvFlags(self._api, self._builds, self._traffic)
        return await flags.switch_off(flag)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _named(self, release: Release) -> Release:
        return Release(await self._builds.id_of(release.candidate), release.stable)

    async def _known(self, release: Release, seen: wire.Seen, share: float) -> Release:
        """That everybody is on stable shows without knowing which deployment the candidate is."""
        return release if share <= 0 and seen.shares().keys() == {release.stable} else await self._named(release)
