"""Users who keep `/ws` open for a while, as a page that shows what is new would."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

import aiohttp

SUBSCRIBERS = 6
_STAYS_SECONDS = (4.0, 12.0)
_PAUSE_SECONDS = 1.0
_GOODBYE = aiohttp.ClientWSTimeout(ws_close=1.0)


class Subscriber:
    """One socket at a time. Each is another user's, so that they follow the router's weights when these change."""

    def __init__(
        self, http: aiohttp.ClientSession, rng: random.Random, anybody: Callable[[], Mapping[str, str]]
    ) -> None:
        self._http = http
        self._random = rng
        self._anybody = anybody

    async def run(self) -> None:
        while True:
            # A server that stops, refuses or does not answer: the next user tries again.
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(self._random.uniform(*_STAYS_SECONDS)):
                    await self._listen()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> None:
        """Until the server closes it."""
        async with self._http.ws_connect("/ws", headers=self._anybody(), timeout=_GOODBYE) as socket:
            async for _ in socket:
                pass
