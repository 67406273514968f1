"""A Fly app whose machines a rollout moves to the candidate's image, region by region."""

from __future__ import annotations

import asyncio
import re
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from canary.blocks.base import CanaryBlock, Url
from canary.blocks.fly_api import Machines, NotThere
from canary.blocks.fly_extra import Extra
from canary.blocks.fly_fleet import Fleet, Images, compare, fleet_of, shares
from canary.blocks.fly_image import Image
from canary.blocks.fly_moving import Mover
from canary.blocks.fly_wire import Machine
from canary.blocks.http import DEADLINE, Http, bearer, within
from canary.errors import CredentialError, ProviderError, ProviderUnavailable, Refused
from canary.ports import Access, Exposure, Release, Verification

_ALONE = "with one machine nobody can be kept from the candidate"
_SCALE = "scale the app to two machines or more, or go to 100% at once"
_PLACES = ("private_ip", "machine", "app")


def _checked_token(value: SecretStr) -> SecretStr:
    # `fly tokens create` prints two words: FlyV1 and the token.
    if not re.fullmatch(r"(FlyV1 )?[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("a token is what fly tokens create prints: one line of ASCII")
    return value


def _checked_address(value: str) -> str:
    names = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
    if not re.match(r"https?://\S+$", value) or any(name not in _PLACES for name in names):
        raise ValueError(f"write an http:// or https:// address; in it may stand {{{'}, {'.join(_PLACES)}}}")
    return value.rstrip("/")


def _alone(fleet: Fleet, share: float) -> bool:
    """Whether that share would have to split one machine."""
    return 0 < share < 1 and len(fleet.members) == 1


class FlyApp(CanaryBlock):
    """A share is K of N machines on the candidate's image, as even over the regions as whole machines allow.

    Identity is the image as the machines report it, with its digest. A machine is changed under a lease that names
    the conductor's epoch, and only from the version that was read: an older conductor has no effect. One call
    changes what its time allows; `verify` says no, with the share that is there, until all is done.
    """

    _block_type_name = "Canary: Fly app"
    _block_type_slug = "fly"
    _description = "An app of Fly Machines, which a rollout moves to another image machine by machine."

    app: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] = Field(description="The name of the Fly app.")
    token: Annotated[SecretStr, AfterValidator(_checked_token)] = Field(
        description="A deploy token of that app: fly tokens create deploy -a APP"
    )
    process_group: str = Field(default="app", min_length=1, description="The process group that users reach.")
    private_url: Annotated[str, AfterValidator(_checked_address)] = Field(
        default="http://[{private_ip}]:8080",
        description="Where the extra machine with the candidate is reached in the organisation's private network: "
        "in the address may stand {private_ip}, {machine} and {app}.",
    )
    ready_within: float = Field(default=120.0, gt=0, description="Seconds a machine may take to start and be healthy.")
    api_url: Url = Field(default="https://api.machines.dev", description="The Machines API, without /v1.")

    _http: Http = PrivateAttr()
    _api: Machines = PrivateAttr()
    _mover: Mover = PrivateAttr()
    _leaving: bool = PrivateAttr(default=False)

    def open(self) -> None:
        """Make what the verbs need, from the fields; no I/O."""
        token = self.token.get_secret_value()
        self._http = self._http_client(token.rpartition(" ")[2])
        machines = f"{self.api_url}/v1/apps/{self.app}/machines"
        self._api = Machines(self._http, self._clock, bearer("token", token), machines)
        self._mover = Mover(self._api, self._clock, self.ready_within)

    async def check_connection(self) -> None:
        """Raises CredentialError (token, app, process_group) or ProviderUnavailable."""
        try:
            async with within(DEADLINE, f"{self.ref}: check"):
                machines = await self._api.list()
        except NotThere as error:
            raise CredentialError(self.ref, "app", f"the token reaches no app {self.app!r}: {error.what}") from None
        if not fleet_of(machines, self.process_group).members:
            groups = ", ".join(sorted({m.group for m in machines})) or "none"
            raise CredentialError(
                self.ref, "process_group", f"no machine is in {self.process_group!r}; there are {groups}"
            )

    async def observe(self) -> Exposure:
        """Image → share of the machines that serve. Raises ProviderError when the group has no machine."""
        async with within(DEADLINE, f"{self.ref}: observe"):
            return Exposure(shares(await self._fleet()))

    async def takes(self, share: float) -> None:
        """Raises Refused for a part of the users where one machine serves them all; every fleet can show 0 and 1."""
        if not 0 < share < 1:
            return
        async with within(DEADLINE, f"{self.ref}: count the machines"):
            fleet = await self._fleet()
        if _alone(fleet, share):
            raise Refused(f"{self.ref} cannot show {share:.0%}, only 0% and 100%: {_ALONE}", _SCALE)

    async def prepare(self, release: Release) -> Access:
        """The candidate on an extra machine that the proxy does not know, and no name of the app in Fly's DNS.

        It is first made with stable's image and not started: an image that the registry has no more shows here, and
        not on the way back. Raises CandidateUnhealthy after `ready_within`; ProviderError for a fleet with volumes,
        and when the candidate is what serves already.
        """
        self._leaving = False
        async with within(DEADLINE, f"{self.ref}: prepare"):
            fleet = await self._fleet()
        extra = Extra(self._api, self._clock, self.app, self.ready_within)
        machine = await extra.ready(fleet, self._images(release))
        return Access(self._private(machine), {})

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """Begin, or go on with, the way to the share; returns when it is reached or the call's time is over.

        Raises Superseded (a ProviderError) when a newer epoch holds a machine, ProviderError when one machine alone
        shall serve a part of the users, or a machine is leased by somebody else. At 0 and 1 the extra machine goes.
        """
        async with within(DEADLINE, f"{self.ref}: expose"):
            fleet = await self._fleet()
            images = self._images(release).pinned(fleet)
            self._possible(fleet, images, share)
            self._leaving = share <= 0
            if share <= 0:
                await self._lowered(fleet, images, epoch)
                return
            fleet = await self._mover.toward(fleet, images, share, epoch)
            if fleet.extra and share >= 1 and compare(fleet, images, share).answer == "yes":
                await self._api.delete(fleet.extra.id)

    async def verify(self, release: Release, share: float) -> Verification:
        """One look at every machine. After `expose(0)` the extra machine has to be gone, at 1 it has in any case."""
        try:
            async with within(DEADLINE, f"{self.ref}: verify"):
                fleet = await self._fleet()
            if old := self._mover.outdated(fleet.members):
                return Verification("cannot tell", None, f"{old.where} is shown as it was before its last change")
            looked = compare(fleet, self._images(release), share)
        except (ProviderError, CredentialError) as error:
            return Verification("cannot tell", None, error.what)
        if looked.answer == "yes" and fleet.extra and (share >= 1 or (share <= 0 and self._leaving)):
            return Verification("no", looked.observed, f"{looked.detail}; {fleet.extra.where} is still there")
        return looked

    async def close(self) -> None:
        """Close the connections. Leases end by themselves."""
        await self._http.close()

    async def _lowered(self, fleet: Fleet, images: Images, epoch: int) -> None:
        """Neither waits for the other, nor is kept from its work by it."""
        gone = [self._api.delete(fleet.extra.id)] if fleet.extra else []
        done = await asyncio.gather(self._mover.toward(fleet, images, 0.0, epoch), *gone, return_exceptions=True)
        for failure in done:
            if isinstance(failure, BaseException):
                raise failure

    async def _fleet(self) -> Fleet:
        fleet = fleet_of(await self._api.list(), self.process_group)
        if not fleet.members:
            raise ProviderError(
                f"{self.ref}: app {self.app} has no machine in the process group {self.process_group!r}",
                "look at: fly machine list; correct the block's process_group",
            )
        return fleet

    def _images(self, release: Release) -> Images:
        return Images(Image.parse(release.candidate), Image.parse(release.stable) if release.stable else None)

    def _possible(self, fleet: Fleet, images: Images, share: float) -> None:
        if share <= 0 and images.stable is None:
            raise ProviderError(f"{self.ref}: it is not known which image to go back to", "name the stable release")
        if _alone(fleet, share):
            raise ProviderError(f"{self.ref}: {_ALONE}: {share:.0%} would be everybody", _SCALE)

    def _private(self, machine: Machine) -> str:
        places: dict[str, Any] = {"private_ip": machine.private_ip, "machine": machine.id, "app": self.app}
        if not machine.private_ip and "{private_ip}" in self.private_url:
            raise ProviderUnavailable(f"{self.ref}: {machine.where} has no private address yet", "try again")
        return self.private_url.format(**places)
