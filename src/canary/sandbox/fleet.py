"""The two colours: which version runs on which, and the fault that the candidate suffers from."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from canary.errors import ProviderUnavailable
from canary.sandbox.children import Child, spawn
from canary.sandbox.docflow.config import DocflowConfig
from canary.sandbox.sockets import HOST
from canary.sandbox.wire import COLOURS, STABLE_VERSION, Colour, Fault, Layer

_PATIENCE_SECONDS = 5.0


SERVED_FIRST = -5
"""Niceness of the servers: their latency is judged, and a busy machine must not look like a bad release."""


@dataclass(frozen=True, slots=True)
class Deployed:
    config: DocflowConfig
    child: Child


class Fleet:
    """Starts docflow processes. `template` makes a colour's configuration for a version and a fault."""

    def __init__(
        self,
        template: Callable[[Colour, str, Fault], DocflowConfig],
        folder: Path,
        session: aiohttp.ClientSession,
    ) -> None:
        self._template = template
        self._folder = folder
        self._session = session
        self._deployed: dict[Colour, Deployed] = {}
        self._changing = asyncio.Lock()
        self.fault: Fault = "none"

    def versions(self) -> dict[Colour, str | None]:
        """Colour → the version whose process runs there; None for an idle colour."""
        return {colour: self._version(colour) for colour in COLOURS}

    def pids(self) -> dict[str, int]:
        return {c: each.child.pid for c, each in self._deployed.items() if each.child.running}

    def candidate(self) -> Colour | None:
        """The colour deployed last, of those that run another version than the sandbox began with."""
        # In the order of deployment: a colour that is deployed anew leaves the table first.
        newest_first = reversed(self._deployed)
        return next((c for c in newest_first if self._version(c) not in (None, STABLE_VERSION)), None)

    async def deploy(self, colour: Colour, version: str) -> bool:
        """Run the version there, in place of another. False when it runs already.

        Raises ProviderUnavailable when the other colour does not take the fault that is now its.
        """
        async with self._changing:
            if self._version(colour) == version:
                return False
            old = self._deployed.pop(colour, None)
            if old is not None:
                await old.child.stop()
            await self._start(colour, version)
            return True

    async def suffer(self, fault: Fault) -> None:
        """Set the fault; with no candidate it waits for one. Raises ProviderUnavailable for a deaf server."""
        async with self._changing:
            self.fault = fault
            await asyncio.gather(*(self._push(colour) for colour in COLOURS))

    async def answers(self, colour: Colour) -> bool:
        """Whether the colour's main port serves: users must not be sent to one that still starts."""
        url = f"http://{HOST}:{self._deployed[colour].config.port}/version"
        try:
            async with self._session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def stop(self) -> None:
        await asyncio.gather(*(each.child.stop() for each in self._deployed.values()))

    async def _start(self, colour: Colour, version: str) -> None:
        fault = self.fault if version != STABLE_VERSION else self._everywhere()
        config = self._template(colour, version, fault)
        child = await spawn(
            colour, [sys.executable, "-m", "canary.sandbox.docflow.server"], self._folder, talks=True, nice=SERVED_FIRST
        )
        await child.tell(config.model_dump_json())
        self._deployed[colour] = Deployed(config, child)
        for other in COLOURS:
            if other != colour:
                await self._push(other)

    def _version(self, colour: Colour) -> str | None:
        deployed = self._deployed.get(colour)
        return deployed.config.version if deployed and deployed.child.running else None

    def _everywhere(self) -> Fault:
        """The fault of those that are not the candidate: only broken telemetry hits all."""
        return "telemetry" if self.fault == "telemetry" else "none"

    async def _push(self, colour: Colour) -> None:
        deployed = self._deployed.get(colour)
        if deployed is None or not deployed.child.running:
            return
        fault = self.fault if colour == self.candidate() else self._everywhere()
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while deployed.child.running and not await self._told(deployed.config, fault):
            if asyncio.get_running_loop().time() > deadline:
                raise ProviderUnavailable(f"docflow {colour} did not take the fault {fault} within 5 s")
            await asyncio.sleep(0.05)

    async def _told(self, config: DocflowConfig, fault: Fault) -> bool:
        """False while a process that has just been started does not listen yet."""
        url = f"http://{HOST}:{config.admin_port}/fault"
        headers = {"Authorization": f"Bearer {config.control_token}"}
        try:
            async with self._session.put(url, json={"fault": fault}, headers=headers) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def weight_of(weights: Mapping[Layer, Mapping[Colour, int]], colour: Colour) -> int:
    """The largest weight of a colour in any layer."""
    return max(layer[colour] for layer in weights.values())
