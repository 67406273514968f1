"""The cells of the benchmark: what is simulated, read from a file that anybody can write.

{"cells": [{"rps": 100, "bad": 0.002, "pods": "1 of 10", "ratio": [1, 2, 5], "nature": {"kind": "iid"}}]}

A field that is given as a list stands for one cell each; two lists, for every pair. An unknown field or value is an
error, never a default.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from canary.errors import BadUsage

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ALIGNED = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
FINE_BUCKETS = tuple(round(0.01 * 2 ** (k / 4), 6) for k in range(40))
BUCKETS = {"default": DEFAULT_BUCKETS, "aligned": ALIGNED, "fine": FINE_BUCKETS}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Iid(_Model):
    """Every request fails by itself with the same chance."""

    kind: Literal["iid"] = "iid"


class Diurnal(_Model):
    """One wave in the 30 minutes: traffic ± 50 %, the share of bad events ± 80 %."""

    kind: Literal["diurnal"]


class Incident(_Model):
    """Both arms at `times` the bad events for two minutes, from minute 8 on."""

    kind: Literal["incident"]
    times: float = Field(20.0, gt=0)


class Volatility(_Model):
    """Every 15 s a new gamma multiplier of the bad events, the same on both arms."""

    kind: Literal["volatility"]
    shape: float = Field(4.0, gt=0)


class Ramp(_Model):
    """The canary's share of the traffic: 1, 5, 10, 25 and 50 %, six minutes each."""

    kind: Literal["ramp"]


class Retries(_Model):
    """Bad events come at one moment in clusters of 1 … `most`, equally often."""

    kind: Literal["retries"]
    most: int = Field(4, ge=1, le=16)


class Bursts(_Model):
    """Each pod, canary's too, has its own gamma multiplier of bad events, drawn anew every `seconds`."""

    kind: Literal["bursts"]
    seconds: float = Field(gt=0, le=1800)
    shape: float = Field(4.0, gt=0)
    phase: Literal["aligned", "random"] = "aligned"

    @field_validator("seconds")
    @classmethod
    def _on_the_grid(cls, value: float) -> float:
        if value % 5:
            raise ValueError("a multiple of 5")
        return value


class Spread(_Model):
    """Each pod, canary's too, has for good its own gamma multiplier of bad events; cv: its deviation."""

    kind: Literal["spread"]
    cv: float = Field(gt=0, le=2)


class WarmUp(_Model):
    """The canary alone has `times` the bad events for its first `minutes`."""

    kind: Literal["warm-up"]
    times: float = Field(5.0, gt=0)
    minutes: float = Field(2.0, gt=0, le=30)


class Heavy(_Model):
    """One client with `share` of all requests and `times` the bad events stays on one pod, any of them."""

    kind: Literal["heavy"]
    share: float = Field(0.05, gt=0, lt=1)
    times: float = Field(3.0, gt=0)


Nature = Annotated[
    Iid | Diurnal | Incident | Volatility | Ramp | Retries | Bursts | Spread | WarmUp | Heavy,
    Field(discriminator="kind"),
]


class _Traffic(_Model):
    """rps: requests a second of both arms; pods: the canary's, of all."""

    rps: float = Field(gt=0, le=100_000)
    pods: str = "1 of 10"
    nature: Nature = Iid()

    @field_validator("pods")
    @classmethod
    def _some_of_more(cls, value: str) -> str:
        found = re.fullmatch(r"(\d+) of (\d+)", value)
        if not found or not 0 < int(found[1]) < int(found[2]) <= 1000:
            raise ValueError('such as "1 of 10": at least one on each side, at most 1000')
        return value

    @property
    def arms(self) -> tuple[int, int]:
        """Pods of the canary, of the baseline."""
        canary, every = self.pods.split(" of ")
        return int(canary), int(every) - int(canary)

    @property
    def title(self) -> str:
        """Everything that tells this cell from others, in one line."""
        data, fields = self.model_dump(exclude={"kind", "nature"}), type(self).model_fields
        said = [f"{name} {_said(value)}" for name, value in data.items() if value != fields[name].default]
        parts = [f"{name} {_said(value)}" for name, value in self.nature.model_dump(exclude={"kind"}).items()]
        return f"{type(self).__name__.lower()}: {', '.join(said)}; {self.nature.kind}" + (
            f" ({', '.join(parts)})" if parts else ""
        )


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class Errors(_Traffic):
    """Bad requests of both arms. bad: the baseline's share, 0–1; ratio: canary's over that from `onset` minutes on."""

    kind: Literal["errors"] = "errors"
    bad: float = Field(gt=0, lt=1)
    ratio: float = Field(1.0, ge=0)
    onset: float = Field(0.0, ge=0, lt=30)

    @model_validator(mode="after")
    def _late_only_if_worse(self) -> Errors:
        if self.onset and self.ratio == 1:
            raise ValueError("an onset needs a ratio other than 1")
        if self.bad * self.ratio >= 1:
            raise ValueError("bad × ratio must stay below 1")
        return self

    @property
    def null(self) -> bool:
        """Whether a rollback would be false."""
        return self.ratio <= 1

    @property
    def in_scope(self) -> bool:
        """Whether the default judge promises its α here."""
        if isinstance(self.nature, Bursts):
            return self.nature.seconds <= 60 and self.nature.shape >= 4
        return not isinstance(self.nature, Spread | WarmUp | Heavy)


class Bound(_Traffic):
    """The canary's bad requests, a share `bad`, against a fixed `limit`, both 0–1; cluster: as in a plan."""

    kind: Literal["bound"]
    bad: float = Field(ge=0, lt=1)
    limit: float = Field(gt=0, lt=1)
    cluster: int = Field(4, ge=1, le=64)


class Latency(_Traffic):
    """Log-normal latency, the baseline's p95 at `p95` seconds; the canary is `slower` by a share, 0 for not at all.

    by: the rule's "slower than the baseline by more than", a share; buckets: upper edges of the histogram.
    """

    kind: Literal["latency"]
    p95: float = Field(0.19, gt=0)
    sigma: float = Field(0.7, gt=0)
    slower: float = Field(0.0, ge=0)
    by: float = Field(0.0, ge=0)
    buckets: Literal["default", "aligned", "fine"] = "aligned"
    nature: Iid = Iid()


Cell = Annotated[Errors | Bound | Latency, Field(discriminator="kind")]
_CELL: TypeAdapter[Errors | Bound | Latency] = TypeAdapter(Cell)


def load(path: Path) -> list[Errors | Bound | Latency]:
    """The cells of a file, in its order, each once. Raises BadUsage: what is wrong, in which entry."""
    try:
        data = json.loads(path.read_text())
    except OSError as wrong:
        raise BadUsage(f"{path} cannot be read: {wrong.strerror}", "give a file of cells") from wrong
    except ValueError as wrong:
        raise BadUsage(f"{path} is no JSON: {wrong}", "bench/judge/README.md shows the format") from wrong
    if not isinstance(data, dict) or data.keys() != {"cells"} or not isinstance(data["cells"], list):
        raise BadUsage(
            f'{path}: expected {{"cells": [...]}} and nothing else', "bench/judge/README.md shows the format"
        )
    cells = [_cell(path, number, each) for number, entry in enumerate(data["cells"], 1) for each in _spread(entry)]
    return list({cell.title: cell for cell in cells}.values())


def _spread(entry: Any) -> Iterator[Any]:
    """One entry for each choice from its lists."""
    if not isinstance(entry, Mapping):
        yield entry
        return
    choices = [
        [(name, one) for one in value] if isinstance(value, list) else [(name, value)] for name, value in entry.items()
    ]
    for chosen in itertools.product(*choices):
        yield dict(chosen)


def _cell(path: Path, number: int, entry: Any) -> Errors | Bound | Latency:
    if isinstance(entry, dict):
        entry = {"kind": "errors", **entry}
    try:
        return _CELL.validate_json(json.dumps(entry))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the entry"
        what = f"{path}, entry {number}: {where}: {first['msg']} (given: {first['input']!r})"
        raise BadUsage(what, "bench/judge/README.md names every field and value") from wrong
