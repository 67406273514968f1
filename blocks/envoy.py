"""A route in front of two colours of a service, split by Envoy's runtime weights."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PrivateAttr, model_validator

from canary.blocks import envoy_wire as wire
from canary.blocks.base import CanaryBlock, MaybeUrl, Secret, Url
from canary.blocks.envoy_admin import Admin, Colours
from canary.blocks.http import DEADLINE, Http, bearer, within
from canary.errors import CandidateUnhealthy, CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Access, Exposure, Release, Verification

_POLL_SECONDS = 0.2
_Path = Annotated[str, Field(pattern=r"^/\S*$")]


class EnvoyRoute(CanaryBlock):
    """Two clusters (colours) behind one Envoy route; a share is a pair of runtime weights.

    Identity is the version that a colour answers through the internal route. Envoy applies a weight before it
    answers the request that set it, so what is read back is what users get.
    """

    _block_type_name = "Canary: Envoy route"
    _block_type_slug = "envoy"
    _description = "A blue/green route of an Envoy proxy, whose weights a rollout moves."

    router_url: Url = Field(description="Where users reach the service through Envoy.")
    admin_url: Url = Field(description="Envoy's admin API, behind something that asks for the admin token.")
    admin_token: Secret = Field(description="Bearer token of the admin API, and of deploy_url.")
    runtime_prefix: Annotated[str, Field(pattern=r"^[\w.-]+$")] = Field(
        description="The runtime_key_prefix of the route's weighted clusters, for example routing.api."
    )
    clusters: dict[str, str] = Field(description='Colour → Envoy cluster, two of them: {"blue": "api_blue", …}.')
    total_weight: int = Field(
        default=10_000, ge=100, description="What both weights sum to, in Envoy's configuration too."
    )
    initial: str = Field(
        default="blue",
        description="The colour that Envoy's configuration sends everybody to while no weight is set.",
    )
    internal_token: Secret = Field(description="The value of x-canary-internal that opens the internal route.")
    version_path: _Path = Field(default="/version", description='Where a colour answers {"version": "…"}.')
    health_path: _Path = Field(default="/healthz", description="Where a colour answers 200 when it is ready.")
    deploy_url: MaybeUrl = Field(
        default=None,
        description="Where to ask for the candidate to be started: POST {colour, version}. "
        "Empty when your own pipeline starts it on the idle colour.",
    )
    ready_within: float = Field(default=60.0, gt=0, description="Seconds a candidate may take to be ready.")

    _http: Http = PrivateAttr()
    _admin: Admin = PrivateAttr()
    _colours: Colours = PrivateAttr()

    @model_validator(mode="after")
    def _two_colours(self) -> Self:
        if len(self.clusters) != 2 or len(set(self.clusters.values())) != 2:
            raise ValueError("clusters: name exactly two colours, with two different Envoy clusters")
        if self.initial not in self.clusters:
            raise ValueError(f"initial: {self.initial!r} is no colour; the colours are {', '.join(self.clusters)}")
        return self

    def open(self) -> None:
        """Make what the verbs need, from the fields; no I/O."""
        self._http = self._http_client()
        self._admin = Admin(
            http=self._http,
            url=self.admin_url,
            as_=bearer("admin_token", self.admin_token.get_secret_value()),
            prefix=self.runtime_prefix,
            clusters=self.clusters,
            initial=self.initial,
            total=self.total_weight,
        )
        self._colours = Colours(
            http=self._http,
            router_url=self.router_url,
            token=self.internal_token.get_secret_value(),
            names=tuple(self.clusters),
            version_path=self.version_path,
            health_path=self.health_path,
        )

    async def check_connection(self) -> None:
        """Raises CredentialError, or ProviderUnavailable when Envoy or a serving colour does not answer."""
        await self.observe()
        counted = await self._admin.requests()
        for colour, cluster in self.clusters.items():
            if colour not in counted:
                raise CredentialError(self.ref, "clusters", f"Envoy knows no cluster {cluster!r} ({colour})")

    async def observe(self) -> Exposure:
        """Shares by version. A colour that serves users and is silent counts as the version it said last."""
        split, now = await self._look("observe")
        before = await self._colours.named(now, split)
        return wire.exposure(split, {c: before[c] if split[c] > 0 else now[c] for c in split})

    async def prepare(self, release: Release) -> Access:
        """Have the candidate started on the idle colour, and wait until it is ready.

        Raises CandidateUnhealthy after `ready_within`, ProviderError when no colour is idle.
        """
        colour = await self._place(release.candidate)
        await self._until_ready(colour, release.candidate)
        return Access(self.router_url, self._colours.headers(colour))

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """Write both weights in one request. Envoy has no precondition: nothing checks `epoch` here.

        Share 0 needs no answer from the candidate and, once the colours have been seen, is one request.
        A share above 0 is refused (ProviderError) while the candidate does not answer as such.
        """
        async with within(DEADLINE, f"{self.ref}: expose"):
            who = await (self._lowering(release) if share <= 0 else self._raising(release))
            await self._admin.write(who, share)

    async def verify(self, release: Release, share: float) -> Verification:
        """Reads back, in one round, the weights, the versions behind them and what was routed."""
        try:
            async with within(DEADLINE, f"{self.ref}: verify") as group:
                looking = group.create_task(self._look("verify"))
                counting = group.create_task(self._admin.requests_if_told())
        except (ProviderError, CredentialError) as error:
            return Verification("cannot tell", None, error.what)
        split, now = looking.result()
        versions = self._colours.remembered(now)
        return wire.compare(release, share, split, versions, counting.result(), self.total_weight)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _look(self, verb: str) -> tuple[dict[str, float], dict[str, str | None]]:
        """Colour → share of users, and colour → version it says now."""
        async with within(DEADLINE, f"{self.ref}: {verb}") as group:
            split = group.create_task(self._admin.shares())
            versions = group.create_task(self._colours.versions())
        return split.result(), versions.result()

    async def _place(self, candidate: str) -> str:
        """The colour that runs the candidate, or the idle one after it was asked to start it."""
        split, versions = await self._look("prepare")
        running = [colour for colour, version in versions.items() if version == candidate]
        idle = [colour for colour, share in split.items() if share == 0]
        if running:
            return next((colour for colour in running if colour in idle), running[0])
        if not idle:
            raise ProviderError(
                f"{self.ref}: both colours serve users: there is no idle one for {candidate}",
                "send everybody to one colour first",
            )
        if self.deploy_url:
            wanted = {"colour": idle[0], "version": candidate}
            await self._http.text("POST", self.deploy_url, as_=self._admin.as_, json=wanted)
        return idle[0]

    async def _until_ready(self, colour: str, candidate: str) -> None:
        ends = self._clock.monotonic() + self.ready_within
        while said := await self._colours.not_ready(colour, candidate):
            if self._clock.monotonic() >= ends:
                raise CandidateUnhealthy(
                    f"{self.ref}: {candidate} is not ready on {colour} after {self.ready_within:g} s: {said}",
                    "look at the candidate's own log; if the stable version answered, check internal_token",
                )
            await self._clock.sleep(_POLL_SECONDS)

    async def _lowering(self, release: Release) -> wire.Sides:
        """Who is who, from what was seen before if possible: a rollback waits for no application."""
        before = wire.sides(self._colours.remembered(dict.fromkeys(self.clusters)), release)
        return before or self._told_apart(self._colours.remembered(await self._colours.versions()), release)

    async def _raising(self, release: Release) -> wire.Sides:
        versions = await self._colours.versions()
        who = self._told_apart(versions, release)
        running = versions[who.candidate]
        if running != release.candidate:
            raise ProviderError(
                f"{self.ref}: nobody was sent to {release.candidate}: "
                f"{who.candidate} runs {running or 'nothing that answers'}",
                "have the candidate started on the idle colour, then try again",
            )
        return who

    def _told_apart(self, versions: dict[str, str | None], release: Release) -> wire.Sides:
        who = wire.sides(versions, release)
        if who is None:
            seen = ", ".join(f"{c} runs {v or 'nothing that answers'}" for c, v in versions.items())
            raise ProviderUnavailable(
                f"{self.ref}: which colour is {release.candidate}, which {release.stable}? {seen}",
                "look at what runs on both colours, and whether internal_token is the one that Envoy knows",
            )
        return who
