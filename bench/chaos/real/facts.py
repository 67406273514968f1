"""What truly happened to one rollout: its journal, what was sent to Envoy, what users got, and what was struck."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.real.proxy import LAYERS
from bench.chaos.real.script import Kill
from bench.chaos.real.town import FIRST
from canary.ports import Entry

TOTAL = 10_000
Span = tuple[float, float]
"""From and until, unix seconds."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A kill that had its moment. seq: the newest line of the journal then. back_at: when the victim went on, or was
    started again; None for a flow that was ended. Unix seconds."""

    kill: Kill
    at: float
    seq: int
    pid: int
    back_at: float | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """Envoy took a change: the candidate's share of that layer from then on, 0–1."""

    at: float
    layer: str
    share: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What users got in the second before: `<layer> <version>` → good and bad answers."""

    at: float
    seen: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All about one rollout. over_at: when it was seen to have ended, or was given up; looked_at: when everything had
    settled behind that. stable: what served everybody before. silent: when the journal took no lines. overran: nobody
    waited for its end, or for its service to be free, any longer."""

    service: str
    rollout: str
    version: str
    stable: str
    began_at: float
    over_at: float
    looked_at: float
    lines: Sequence[Entry]
    told_at: Mapping[int, float]
    weights: Sequence[Weight]
    answers: Sequence[Answers]
    struck: Sequence[Struck] = field(default_factory=tuple)
    silent: Sequence[Span] = field(default_factory=tuple)
    overran: bool = False

    def share(self, layer: str, at: float) -> float:
        """The candidate's share of the layer then."""
        return next((w.share for w in reversed(self.weights) if w.layer == layer and w.at <= at), 0.0)

    def of_type(self, *types: str) -> list[Entry]:
        return [line for line in self.lines if line.type in types]

    @property
    def outcome(self) -> str:
        """Of the line that ended it; `not ended`, or `never begun` when nobody has ever conducted it."""
        ends = self.of_type("rollout_ended")
        if ends:
            return str(ends[-1].data["outcome"])
        return "not ended" if self.of_type("conductor_took") else "never begun"


def read_log(file: Path) -> list[dict[str, Any]]:
    """The town's log so far; a line that is being written is left out."""
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def weights(log: Sequence[Mapping[str, Any]], service: str, version: str) -> Iterator[Weight]:
    """The candidate's share after each change since it was deployed."""
    colour = ""
    for line in log:
        if line.get("service") != service:
            continue
        if line["kind"] == "deployed" and line["version"] == version:
            colour = line["colour"]
        elif line["kind"] == "weights" and colour:
            yield Weight(line["at"], line["layer"], line["units"][colour] / TOTAL)


def answers(log: Sequence[Mapping[str, Any]], service: str, since: float) -> Iterator[Answers]:
    for line in log:
        if line["kind"] == "answers" and line["service"] == service and line["at"] >= since:
            yield Answers(line["at"], line["seen"])


def serving(log: Sequence[Mapping[str, Any]], service: str) -> str:
    """The version of the colour that has everybody, as the log leaves it."""
    versions, everybody = {"blue": FIRST}, dict.fromkeys(LAYERS, "blue")
    for line in log:
        if line.get("service") != service:
            continue
        if line["kind"] == "deployed":
            versions[line["colour"]] = line["version"]
        elif line["kind"] == "weights":
            everybody[line["layer"]] = max(line["units"], key=line["units"].__getitem__)
    return versions[everybody[LAYERS[0]]]
