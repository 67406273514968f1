"""The sandbox as others use it: start, attach, ask, break, stop. Imports neither aiohttp nor Envoy."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from canary.errors import BadUsage, ProviderError, ProviderUnavailable
from canary.sandbox import envoy
from canary.sandbox.launch import PLATFORMS_WITHIN_SECONDS, READY_WITHIN_SECONDS, end, launch, log_file, until_up
from canary.sandbox.platforms.wire import Platform
from canary.sandbox.state import State, Status, is_running, read_state, supervisor_pid
from canary.sandbox.wire import COLOURS, FAULTS, LAYERS, TOTAL_WEIGHT, Layer

DEFAULT_RPS = 600.0
DEFAULT_USERS = 5000


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox, found through `<home>/sandbox.json`."""

    home: Path

    @classmethod
    async def start(
        cls,
        home: Path,
        *,
        rps: float = DEFAULT_RPS,
        users: int = DEFAULT_USERS,
        router_port: int | None = None,
        platforms: bool = False,
    ) -> Sandbox:
        """Start one and wait until it serves. rps: requests per second; 0 for none but internal testers.

        platforms: with local servers in front of it that speak the vendors' APIs, and move it.

        It goes on when the caller ends. Raises BadUsage (one runs already, a port is taken, the extra `demo`
        is missing), CanaryError with the log's last lines when it does not come up within 20 s,
        with platforms 90 s.
        """
        home = _absolute(home)
        if is_running(home):
            raise BadUsage(f"a sandbox is already running in {home}", "stop it first: canary sandbox down")
        _check_extra()
        port = [] if router_port is None else ["--router-port", str(router_port)]
        more = ["--platforms"] if platforms else []
        pid = launch(home, ["--rps", str(rps), "--users", str(users), *port, *more])
        await until_up(home, pid, PLATFORMS_WITHIN_SECONDS if platforms else READY_WITHIN_SECONDS)
        return cls(home)

    @classmethod
    def attach(cls, home: Path) -> Sandbox:
        """The one running in this home. Raises BadUsage when there is none."""
        read_state(_absolute(home))
        return cls(_absolute(home))

    @property
    def state(self) -> State:
        """Addresses, tokens and processes as of now (a deployment changes the processes). Raises BadUsage."""
        return read_state(self.home)

    async def status(self) -> Status:
        """Raises BadUsage, ProviderUnavailable, ProviderError."""
        return Status.model_validate_json(await self._control("GET", "/status"))

    async def fault(self, name: str) -> None:
        """Switch the candidate's fault; `none` ends it; with no candidate it waits for one.

        Raises BadUsage for an unknown name, ProviderUnavailable, ProviderError.
        """
        if name not in FAULTS:
            close = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise BadUsage(f"no fault {name!r}", f"{hint}the faults are {', '.join(FAULTS)}")
        await self._control("PUT", "/fault", {"fault": name})

    async def stop(self) -> None:
        """Stop it and all its processes; nothing when it is not running. SIGTERM, after 10 s SIGKILL."""
        if not is_running(self.home):
            return
        await end(self.home, supervisor_pid(self.home))

    def block_fields(self) -> dict[str, dict[str, Any]]:
        """Block reference → the plain values to make it from. They hold secrets."""
        state = self.state
        return {
            **{f"envoy/docflow-{layer}": _route_fields(state, layer) for layer in LAYERS},
            "flags/docflow": {"url": state.flags_url, "token": state.flags_token},
            "scraper/docflow": {"urls": [state.metrics_urls[colour] for colour in COLOURS]},
            "token/docflow-admin": {"value": state.docflow_token},
            "terminal/local": {},
            **(state.platforms.blocks if state.platforms else {}),
        }

    async def platforms(self) -> dict[str, Platform]:
        """By name: what each was asked, and how it stands. Empty without them. Raises ProviderUnavailable."""
        found = self.state.platforms
        if found is None:
            return {}
        try:
            async with httpx.AsyncClient(timeout=8.0, trust_env=False) as client:
                said = (await client.get(found.page)).json()
        except (httpx.TransportError, ValueError) as error:
            raise ProviderUnavailable(f"the platforms did not answer ({type(error).__name__})") from error
        return {name: Platform.model_validate(each) for name, each in said.items()}

    async def _control(self, method: str, path: str, body: dict[str, str] | None = None) -> str:
        state = self.state
        headers = {"Authorization": f"Bearer {state.control_token}"}
        try:
            # trust_env: a proxy from the environment has no business between local processes.
            async with httpx.AsyncClient(timeout=8.0, trust_env=False) as client:
                response = await client.request(method, f"{state.control_url}{path}", json=body, headers=headers)
        except httpx.TransportError as error:
            raise ProviderUnavailable(
                f"the sandbox's control API did not answer ({type(error).__name__})",
                f"see {log_file(self.home)}, or start anew: canary sandbox down, then up",
            ) from error
        if response.status_code != 200:
            raise ProviderError(f"the sandbox refused {method} {path}: {response.status_code} {response.text[:300]}")
        return response.text


def _route_fields(state: State, layer: Layer) -> dict[str, Any]:
    return {
        "router_url": state.router_url,
        "admin_url": state.admin_url,
        "admin_token": state.admin_token,
        "runtime_prefix": f"routing.{layer}",
        "clusters": {colour: f"{layer}_{colour}" for colour in COLOURS},
        "total_weight": TOTAL_WEIGHT,
        "internal_token": state.internal_token,
        "deploy_url": state.deploy_url,
    }


def _absolute(home: Path) -> Path:
    return home.absolute()


def _check_extra() -> None:
    envoy.binary()
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise BadUsage("the sandbox needs aiohttp", "pip install 'prefect-canary[demo]'") from error
