"""What a new sandbox is given at its start: ports that it holds for its life, and fresh secrets."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field

from canary.sandbox.sockets import HOST, port_of, reserve
from canary.sandbox.wire import COLOURS, Colour


def _both() -> dict[Colour, socket.socket]:
    return {colour: reserve() for colour in COLOURS}


@dataclass(frozen=True)
class Places:
    """Ports of the children. A colour's admin port is known, and refuses connections, while it is idle."""

    router: socket.socket
    main: dict[Colour, socket.socket] = field(default_factory=_both)
    admin: dict[Colour, socket.socket] = field(default_factory=_both)

    @property
    def router_url(self) -> str:
        """Without a slash at the end."""
        return f"http://{HOST}:{port_of(self.router)}"

    def metrics_urls(self) -> dict[Colour, str]:
        """Where scrapers read each colour."""
        return {colour: f"http://{HOST}:{port_of(sock)}/metrics" for colour, sock in self.admin.items()}


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Tokens:
    """One secret for each thing that it opens."""

    admin: str = field(default_factory=_secret, repr=False)
    flags: str = field(default_factory=_secret, repr=False)
    control: str = field(default_factory=_secret, repr=False)
    internal: str = field(default_factory=_secret, repr=False)
    docflow: str = field(default_factory=_secret, repr=False)
