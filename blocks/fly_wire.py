"""The Machines API of Fly as far as it is used: https://fly.io/docs/machines/api/machines-resource/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from canary.blocks.fly_image import Image

MARK = "prefect_canary"
"""The metadata key of the extra machine that only internal users reach."""
_GONE = frozenset({"destroying", "destroyed", "launch_failed"})
_ASLEEP = frozenset({"created", "stopped", "suspended"})
_CHANGING = frozenset({"creating", "starting", "stopping", "restarting", "suspending", "updating", "replacing"})
"""Source: https://fly.io/docs/machines/machine-states/; `failed` and `started` are in none of these."""


class _Said(BaseModel):
    """What the API answers; keys that are not used here are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Check(_Said):
    """status: passing, warning or critical."""

    name: str = ""
    status: str = ""


class ImageRef(_Said):
    """Where a machine's image came from; the tag is absent where the image was named by its digest."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None


class Machine(_Said):
    """One machine as the API shows it. `config` may hold what is private: it is not shown."""

    id: str
    region: str
    state: str
    instance_id: str
    private_ip: str = ""
    config: dict[str, Any] = Field(repr=False)
    image_ref: ImageRef | None = None
    checks: tuple[Check, ...] | None = None

    @field_validator("config")
    @classmethod
    def _objects(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The parts of it that are looked into."""
        metadata = config.get("metadata") or {}
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("metadata is no object of strings")
        if not isinstance(config.get("dns") or {}, dict):
            raise ValueError("dns is no object")
        return config

    def told(self) -> tuple[str, ...]:
        """Its words that come into results and errors."""
        checks = [word for check in self.checks or () for word in (check.name, check.status)]
        place = (self.id, self.region, self.state, self.instance_id, self.private_ip)
        return (*place, self.group, str(self.image), *checks)

    @property
    def image(self) -> Image:
        """With the digest, once the platform has resolved the reference."""
        ref = self.image_ref
        if ref is None or not ref.repository:
            return Image.parse(str(self.config.get("image", "")))
        return Image(ref.registry, ref.repository, ref.tag or "", ref.digest or "")

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.config.get("metadata") or {}

    @property
    def group(self) -> str:
        """The process group; "app", as flyctl names the only one, where none is written."""
        return self.metadata.get("fly_process_group") or "app"

    @property
    def gone(self) -> bool:
        return self.state in _GONE

    @property
    def asleep(self) -> bool:
        """Not running; the proxy may wake it for a request."""
        return self.state in _ASLEEP

    @property
    def changing(self) -> bool:
        """On its way to another state."""
        return self.state in _CHANGING

    @property
    def serving(self) -> bool:
        """Started, and every health check that it has passes."""
        return self.state == "started" and all(check.status == "passing" for check in self.checks or ())

    @property
    def where(self) -> str:
        return f"machine {self.id} ({self.region})"

    @property
    def shown(self) -> str:
        """The state, and the checks that do not pass."""
        failing = [
            f"{c.name or 'a check'} is {c.status or 'unknown'}" for c in self.checks or () if c.status != "passing"
        ]
        return ", ".join([self.state, *failing])


class Lease(_Said):
    """A lock on one machine. expires_at: unix seconds."""

    nonce: str
    expires_at: float = 0.0
    owner: str = ""
    description: str = ""
