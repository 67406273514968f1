"""References to container images: whether a machine runs what a plan names."""

from __future__ import annotations

from dataclasses import dataclass

_DOCKER_HUB = "registry-1.docker.io"
"""As Fly's machines report it, whatever the reference called it."""


@dataclass(frozen=True, slots=True)
class Image:
    """registry/repository, and a tag, a digest ("sha256:…") or both; "" for what is not known."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, reference: str) -> Image:
        """Of registry.fly.io/docflow:v1, docflow:v1@sha256:… and the like. Without tag and digest it is "latest"."""
        name, _, digest = reference.partition("@")
        place, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        registry, _, path = f"{place}{slash}{last}".partition("/")
        if not path or ("." not in registry and ":" not in registry and registry != "localhost"):
            registry, path = _DOCKER_HUB, f"{place}{slash}{last}" if slash else f"library/{last}"
        if registry in ("docker.io", "index.docker.io"):
            registry = _DOCKER_HUB
        return cls(registry, path, tag or ("" if digest else "latest"), digest)

    def shows(self, wanted: Image) -> bool:
        """Whether a machine that reports this image runs the wanted one."""
        if (self.registry, self.repository) != (wanted.registry, wanted.repository):
            return False
        return self.digest == wanted.digest if self.digest and wanted.digest else self.tag == wanted.tag

    @property
    def short(self) -> str:
        """For people: the tag, or the first letters of the digest."""
        return self.tag or self.digest[:19]

    def __str__(self) -> str:
        tag, digest = (f":{self.tag}" if self.tag else ""), (f"@{self.digest}" if self.digest else "")
        return f"{self.registry}/{self.repository}{tag}{digest}"
