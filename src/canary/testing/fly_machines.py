"""The machines behind the local Fly: what they run, when they start, who leases them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canary.blocks.fly_image import Image

HEALTH = {"servicecheck": {"type": "http", "port": 8080, "path": "/healthz", "interval": "15s", "timeout": "2s"}}


@dataclass(slots=True)
class FakeLease:
    """expires_at: unix seconds."""

    nonce: str
    expires_at: float
    description: str
    owner: str = "canary@tokens.fly.io"


@dataclass(slots=True)
class FakeMachine:
    """One machine. `registered`: the proxy sends users there. `resting`: the state while it is not launched.

    began: unix seconds of the last launch. before: how a read showed it before its last change.
    """

    id: str
    name: str
    region: str
    config: dict[str, Any]
    image: Image
    instance_id: str
    began: float
    registered: bool = True
    resting: str = ""
    lease: FakeLease | None = None
    versions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: dict[str, Any] | None = None

    def leased(self, now: float) -> FakeLease | None:
        """The lease, unless its time is over."""
        return self.lease if self.lease and now < self.lease.expires_at else None


@dataclass(slots=True)
class Fates:
    """What becomes of machines. Images by reference, such as registry.fly.io/docflow:v2.1.0.

    boot_seconds, health_seconds: from the launch until `started`, and from there until its check passes.
    unhealthy: images whose check never passes. broken: images that fail to start.
    """

    boot_seconds: float = 0.0
    health_seconds: float = 0.0
    unhealthy: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def state(self, machine: FakeMachine, now: float) -> str:
        if machine.resting:
            return machine.resting
        if now < machine.began + self.boot_seconds:
            return "starting"
        return "failed" if _named(machine.image) in self.broken else "started"

    def healthy(self, machine: FakeMachine, now: float) -> bool:
        up = now >= machine.began + self.boot_seconds + self.health_seconds
        return up and self.state(machine, now) == "started" and _named(machine.image) not in self.unhealthy

    def shown(self, machine: FakeMachine, now: float) -> dict[str, Any]:
        """The machine as the API shows it."""
        check = {"name": "servicecheck", "status": "passing" if self.healthy(machine, now) else "critical"}
        image = machine.image
        ref = {"registry": image.registry, "repository": image.repository, "digest": image.digest}
        return {
            "id": machine.id,
            "name": machine.name,
            "state": self.state(machine, now),
            "region": machine.region,
            "instance_id": machine.instance_id,
            "private_ip": f"fdaa:0:18:a7b:196:{int(machine.id[-4:], 16):x}:9ce1:2",
            "config": machine.config,
            "image_ref": {**ref, "tag": image.tag} if image.tag else ref,
            "checks": [check] if machine.config.get("checks") else None,
            "events": [],
        }


@dataclass(slots=True)
class Rates:
    """Requests per action and machine (or app): one a second after a burst of three; reading a machine 5 and 10.

    Source: https://fly.io/docs/machines/api/working-with-machines-api/#rate-limits.
    """

    _left: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def allow(self, action: str, of: str, now: float) -> bool:
        """Whether one more may come now."""
        rate, burst = (5.0, 10.0) if action == "get" else (1.0, 3.0)
        left, at = self._left.get((action, of), (burst, now))
        left = min(burst, left + (now - at) * rate)
        self._left[action, of] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def _named(image: Image) -> str:
    return str(Image(image.registry, image.repository, image.tag))


def default_config(image: str, group: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """A machine's config as flyctl would have written it."""
    return {
        "image": image,
        "env": {"LOG_LEVEL": "info"},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
        "metadata": {"fly_platform_version": "v2", "fly_process_group": group},
        "services": [{"protocol": "tcp", "internal_port": 8080, "ports": [{"port": 443, "handlers": ["tls", "http"]}]}],
        "checks": HEALTH,
        "restart": {"policy": "on-failure", "max_retries": 10},
        **more,
    }
