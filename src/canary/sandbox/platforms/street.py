"""The sandbox as the platforms move it: what a rollout's credentials open, and nothing besides."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from canary.errors import ProviderUnavailable
from canary.sandbox.envoy import CLUSTER_HEADER, INTERNAL_HEADER
from canary.sandbox.platforms.wire import PlatformsConfig
from canary.sandbox.wire import TOTAL_WEIGHT, Colour, Layer

CANDIDATE_COLOUR: Colour = "green"
_TIMEOUT = aiohttp.ClientTimeout(total=2)


class Street:
    """A client of the sandbox's own parts. Verbs raise ProviderUnavailable when one does not answer as it should."""

    def __init__(self, config: PlatformsConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http

    async def deploy(self, version: str) -> None:
        """Begin to run it beside the stable one; again it is there already."""
        body = {"colour": CANDIDATE_COLOUR, "version": version}
        await self._ask("POST", self._config.deploy_url, self._config.admin_token, json=body)

    async def answers(self, colour: Colour) -> bool:
        """Whether the version on that colour says that it is well."""
        url, headers = f"{self._config.router_url}/healthz", self.inside(colour)
        try:
            async with self._http.get(url, headers=headers, timeout=_TIMEOUT) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def send(self, layer: Layer, share: float) -> None:
        """That share of the layer's users, 0–1, to the candidate. Both weights in one request."""
        candidate = round(share * TOTAL_WEIGHT)
        weights = {CANDIDATE_COLOUR: candidate, "blue": TOTAL_WEIGHT - candidate}
        params = {f"routing.{layer}.{layer}_{colour}": str(weight) for colour, weight in weights.items()}
        url = f"{self._config.admin_url}/runtime_modify"
        await self._ask("POST", url, self._config.admin_token, params=params)

    async def set_flags(self, flags: Mapping[str, bool]) -> None:
        """What docflow reads from now on, within its 0.2 s."""
        await self._ask("PATCH", f"{self._config.flags_url}/flags", self._config.flags_token, json=dict(flags))

    async def metrics(self, colour: Colour) -> str:
        """The exposition of that colour; "" where nothing runs, or it does not tell."""
        try:
            async with self._http.get(self._config.metrics_urls[colour], timeout=_TIMEOUT) as answer:
                return await answer.text() if answer.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError):
            return ""

    def inside(self, colour: Colour) -> dict[str, str]:
        """Headers with which Envoy leads a request to that colour, whatever the weights are."""
        return {INTERNAL_HEADER: self._config.internal_token, CLUSTER_HEADER: colour}

    async def _ask(self, method: str, url: str, token: str, **content: Mapping[str, str | bool]) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._http.request(method, url, headers=headers, timeout=_TIMEOUT, **content) as answer:  # type: ignore[arg-type]
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderUnavailable(f"{method} {url} was not answered ({type(error).__name__})") from None
        if status >= 300:
            raise ProviderUnavailable(f"{method} {url} answered {status}")


async def gathered(street: Street, colours: tuple[Colour, ...]) -> dict[Colour, str]:
    """The expositions of all colours, asked side by side."""
    return dict(zip(colours, await asyncio.gather(*map(street.metrics, colours)), strict=True))
