"""The lines of an exported journal: JSON, one record a line, the head first and the end last."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from canary.errors import BadUsage

FORMAT = 1
"""Of the files that this program writes; it reads no other."""
Sequence = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """The base of every line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Head(Record):
    kind: Literal["export"] = "export"
    format: int = FORMAT


class PlanRecord(Record):
    """See ports.StoredPlan. The newest comes first."""

    kind: Literal["plan"] = "plan"
    hash: str
    name: Name
    service: Name
    body: str

    @model_validator(mode="after")
    def _same(self) -> Self:
        if hashlib.sha256(self.body.encode(errors="surrogatepass")).hexdigest() != self.hash:
            raise ValueError(f"the body of plan {self.name} is not the one that its hash {self.hash[:12]}… names")
        return self


class EntryRecord(Record):
    """See ports.Entry. Those of one rollout stand together, in their order; the newest rollout comes first."""

    kind: Literal["entry"] = "entry"
    rollout: Name
    seq: Sequence
    at: float
    epoch: Annotated[int, Field(ge=0)]
    type: Name
    data: dict[str, Any]


class ServiceRecord(Record):
    """The newest epoch of a service, and the rollout that held it when this was exported."""

    kind: Literal["service"] = "service"
    service: Name
    epoch: Annotated[int, Field(ge=0)]
    rollout: str | None


class End(Record):
    """How much of each there was: without this line a file is not whole."""

    kind: Literal["end"] = "end"
    plans: int
    services: int
    entries: int


AnyRecord = Head | PlanRecord | EntryRecord | ServiceRecord | End
_ADAPTER: TypeAdapter[AnyRecord] = TypeAdapter(Annotated[AnyRecord, Field(discriminator="kind")])


def parsed(number: int, line: str) -> AnyRecord:
    """The record of the file's line `number`. Raises BadUsage, which quotes nothing of it."""
    try:
        # Not pydantic's own parser, which knows no lone surrogates: a journal may hold them.
        return _ADAPTER.validate_python(json.loads(line, parse_constant=_no_number))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(number, f"{where}: {first['msg']}" if where else first["msg"]) from None
    except (ValueError, RecursionError):
        raise damaged(number, "it is no JSON") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def damaged(number: int, why: str) -> BadUsage:
    """The error of a file that is not as it was exported."""
    return BadUsage(
        f"line {number} of the export: {why}", "nothing was imported; export it again: canary journal export"
    )
