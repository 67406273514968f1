"""Envoy's own admin API, over the unix socket that only the supervisor's user reaches."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from yarl import URL

from canary.errors import ProviderUnavailable
from canary.sandbox.envoy import ADMIN_SOCKET
from canary.sandbox.wire import COLOURS, LAYERS, TOTAL_WEIGHT, Colour, Layer

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class EnvoyAdmin:
    """A client of the admin socket. Use as an async context manager."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=ADMIN_SOCKET), timeout=_TIMEOUT, auto_decompress=False
        )

    async def __aenter__(self) -> EnvoyAdmin:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path_and_query: str) -> tuple[int, str, bytes]:
        """Status, content type, body. Raises ProviderUnavailable when Envoy does not answer within 5 s."""
        url = URL(f"http://envoy{path_and_query}", encoded=True)
        try:
            async with self._session.request(method, url) as response:
                return response.status, response.content_type, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderUnavailable(f"Envoy's admin API did not answer ({type(error).__name__})") from error

    async def ready(self) -> bool:
        try:
            status, _, _ = await self.ask("GET", "/ready")
        except ProviderUnavailable:
            return False
        return status == 200

    async def weights(self) -> dict[Layer, dict[Colour, int]]:
        """What Envoy routes by now. A key that nobody has set is absent there: the configuration holds."""
        entries = await self._runtime()
        return {layer: {c: _weight(entries, layer, c) for c in COLOURS} for layer in LAYERS}

    async def _runtime(self) -> dict[str, Any]:
        status, _, body = await self.ask("GET", "/runtime?format=json")
        if status != 200:
            raise ProviderUnavailable(f"Envoy's /runtime answered {status}")
        entries: dict[str, Any] = json.loads(body)["entries"]
        return entries


def _weight(entries: dict[str, Any], layer: Layer, colour: Colour) -> int:
    entry = entries.get(f"routing.{layer}.{layer}_{colour}")
    if entry is None:
        return TOTAL_WEIGHT if colour == "blue" else 0
    return int(entry["final_value"])
