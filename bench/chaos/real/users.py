"""Users of one service, who come at a rate whatever the answers do; what they got is told once a second."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

import aiohttp

from bench.chaos.real.proxy import LAYERS, Tell
from bench.chaos.real.server import VERSION_HEADER

PATIENCE = aiohttp.ClientTimeout(total=3)
MOST_UNDER_WAY = 200


class Users:
    """Each request is somebody's of a thousand, to the api or the web."""

    def __init__(self, service: str, url: str, rps: float, tell: Tell, http: aiohttp.ClientSession) -> None:
        self._service, self._url, self._rps, self._tell, self._http = service, url, rps, tell, http
        self._random = random.Random(service)
        self._seen: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._under_way: set[asyncio.Task[None]] = set()

    async def come(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        begun, sent, told = loop.time(), 0, 0
        while True:
            await asyncio.sleep(0.02)
            elapsed = loop.time() - begun
            while sent < elapsed * self._rps:
                sent += 1
                if len(self._under_way) < MOST_UNDER_WAY:
                    task = asyncio.create_task(self._one())
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            if elapsed > told + 1:
                told += 1
                self._say()

    async def _one(self) -> None:
        layer = self._random.choice(LAYERS)
        path = "/api/x" if layer == "api" else "/x"
        user = {"x-user": f"user-{self._random.randrange(1000)}"}
        try:
            async with self._http.get(self._url + path, headers=user, timeout=PATIENCE) as answer:
                version = answer.headers.get(VERSION_HEADER, "nobody")
                self._seen[f"{layer} {version}"][answer.status >= 500] += 1
        except (aiohttp.ClientError, TimeoutError):
            self._seen[f"{layer} nobody"][1] += 1

    def _say(self) -> None:
        """`<layer> <version>` → good and bad answers since the last time."""
        self._tell("answers", {"service": self._service, "seen": self._seen})
        self._seen = defaultdict(lambda: [0, 0])
