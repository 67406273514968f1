"""The extra machine: the candidate for internal users alone, out of the proxy and out of the app's DNS names."""

from __future__ import annotations

from typing import Any

from canary.blocks.fly_api import Conflicting, Machines
from canary.blocks.fly_fleet import Fleet, Images
from canary.blocks.fly_image import Image
from canary.blocks.fly_moving import changed_to
from canary.blocks.fly_wire import MARK, Machine
from canary.errors import CandidateUnhealthy, CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Clock

_LOOK_SECONDS = 1.0
_WAIT_SECONDS = 4
"""How long one request waits for the start, within the client's own six; a machine that failed is seen after it."""


class Extra:
    """Made of the config of a machine that serves stable; found again by its mark, and by its name."""

    def __init__(self, api: Machines, clock: Clock, app: str, ready_within: float) -> None:
        self._api = api
        self._clock = clock
        self._app = app
        self._ready_within = ready_within

    async def ready(self, fleet: Fleet, images: Images) -> Machine:
        """The extra machine, serving the candidate. Raises CandidateUnhealthy and ProviderError."""
        model = self._model(fleet, images)
        machine = fleet.extra or await self._created(model, images)
        if images.side(machine) != "candidate" or machine.asleep or machine.state == "failed":
            machine = await self._launched(machine, images.candidate)
        ends = self._clock.monotonic() + self._ready_within
        while not machine.serving:
            if machine.gone or machine.state == "failed" or self._clock.monotonic() >= ends:
                raise CandidateUnhealthy(
                    f"{self._api.http.ref}: {images.candidate.short} does not serve on {machine.where}, out of the "
                    f"proxy: it is {machine.shown}",
                    f"look at: fly logs --machine {machine.id}",
                )
            if machine.changing:
                await self._api.wait(machine, _WAIT_SECONDS)
            else:
                await self._clock.sleep(_LOOK_SECONDS)
            machine = await self._api.get(machine.id)
        return machine

    def _model(self, fleet: Fleet, images: Images) -> Machine:
        if images.stable and images.candidate.shows(images.stable):
            raise ProviderError(
                f"{self._api.http.ref}: the machines run {images.candidate.short} already",
                "start a rollout of another version",
            )
        model = next((m for m in fleet.members if m.serving and images.side(m) != "candidate"), fleet.members[0])
        if model.config.get("mounts"):
            raise ProviderError(
                f"{self._api.http.ref}: {model.where} has a volume, which no extra machine can have: there is nowhere "
                "to look at the candidate before users do",
                "move what needs the volume to an app of its own",
            )
        return model

    async def _created(self, model: Machine, images: Images) -> Machine:
        """Not started. Raises ProviderError, saying so, when the image to go back to cannot be had."""
        try:
            return await self._api.create(self._body(model, images.stable or images.candidate))
        except Conflicting:
            # Its name is taken: an earlier request, whose answer was lost, has made it.
            raise ProviderUnavailable(
                f"{self._api.http.ref}: the extra machine is there and was not listed yet", "try again"
            ) from None
        except (ProviderUnavailable, CredentialError):
            raise
        except ProviderError as error:
            if images.stable is None:
                raise
            raise ProviderError(
                f"{self._api.http.ref}: no machine can be made of the stable image {images.stable}: {error.what}",
                "a rollback would need it: if it was pruned, push it to the registry again, then start again",
            ) from None

    def _body(self, model: Machine, image: Image) -> dict[str, Any]:
        """`fly deploy` and the app's own DNS names leave it alone."""
        metadata = {key: value for key, value in model.metadata.items() if not key.startswith("fly_")}
        config = {
            **model.config,
            "image": str(image),
            "metadata": {**metadata, MARK: "candidate"},
            "dns": {**(model.config.get("dns") or {}), "skip_registration": True},
        }
        name = f"{self._app}-canary"
        return {"name": name, "region": model.region, "config": config, "skip_launch": True} | _OUT_OF_THE_PROXY

    async def _launched(self, machine: Machine, candidate: Image) -> Machine:
        body = changed_to(candidate, machine) | {"skip_launch": False} | _OUT_OF_THE_PROXY
        return await self._api.update(machine.id, body, "")


_OUT_OF_THE_PROXY = {"skip_service_registration": True}
