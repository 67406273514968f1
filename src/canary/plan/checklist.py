"""The checklist: what must be true before anything is touched, and what shows it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from canary.plan.signals import Strict
from canary.plan.units import FileName, Line, Name, Seconds, WebUrl


def _inside(value: str) -> str:
    if ".." in PurePosixPath(value).parts:
        raise ValueError(f"{value!r} leads out of the folder of evidence (CANARY_EVIDENCE); write a path below it")
    return value


class FileEvidence(Strict):
    """A file that is there and not empty."""

    file: Annotated[FileName, AfterValidator(_inside)]
    """Its path, relative to the folder of evidence (CANARY_EVIDENCE)."""


class CommandEvidence(Strict):
    """A command that ends with exit status 0."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(min_length=1, max_length=100)
    """Program and arguments; no shell reads them. It runs in the folder of evidence, without secrets."""
    within: Seconds = 60.0
    """Real seconds, whatever the time scale; then it is killed with everything it started."""


class UrlEvidence(Strict):
    """A page that answers a GET with 2xx."""

    url: WebUrl
    """Its address."""


class WordEvidence(Strict):
    """What a named person says. Recorded as unproven."""

    word_of: Name
    """The role whose word it is."""
    says: Line
    """What they say."""


_KINDS: dict[str, type[Strict]] = {
    "file": FileEvidence,
    "command": CommandEvidence,
    "url": UrlEvidence,
    "word_of": WordEvidence,
}


def kind_of_evidence(value: Any) -> str | None:
    """file, command, url or word_of; None for what is none of them. Takes a plan's mapping, too."""
    if isinstance(value, dict):
        return next((kind for kind in _KINDS if kind in value), None)
    return next((kind for kind, model in _KINDS.items() if isinstance(value, model)), None)


def _tag(value: Any) -> str | None:
    kind = kind_of_evidence(value)
    return f"<{kind}>" if kind else None


Evidence = Annotated[
    Annotated[FileEvidence, Tag("<file>")]
    | Annotated[CommandEvidence, Tag("<command>")]
    | Annotated[UrlEvidence, Tag("<url>")]
    | Annotated[WordEvidence, Tag("<word_of>")],
    Discriminator(
        _tag,
        custom_error_type="no_evidence",
        custom_error_message="evidence is one of file (a path), command (a list), url, and word_of (a role, with says)",
    ),
]


class ChecklistItem(Strict):
    """One thing that must be true before the rollout begins."""

    item: Line
    """What it is, in words."""
    evidence: Evidence
    """What shows it."""
