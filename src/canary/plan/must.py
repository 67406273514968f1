"""What a KPI must be: a text such as "> 50%", "p95 <= 5% over baseline" or "> 4.0"."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

FORMS = ("> 50%", "p20 > 85%", "p95 < 200ms", "p95 <= 5% over baseline", ">= 15% below baseline", "> 4.0")
_FORM = re.compile(
    r"(?:p(\d{1,2}(?:\.\d{1,4})?)\s*)?(<=|>=|<|>)\s*(\d{1,9}(?:\.\d{1,6})?)\s*(%|ms|s)?(?:\s+(over|below)\s+baseline)?"
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_UNITS: dict[str | None, tuple[Literal["share", "seconds", "number"], float]] = {
    "%": ("share", 100.0),
    "ms": ("seconds", 1000.0),
    "s": ("seconds", 1.0),
    None: ("number", 1.0),
}


@dataclass(frozen=True, slots=True)
class Must:
    """text: as written. quantile: 0–1, or None. limit: in `unit`.

    against: None for the value itself; "over": by which share it exceeds the baseline's; "below": by which share
    it lies under the baseline's.
    """

    text: str
    quantile: float | None
    compare: str
    limit: float
    unit: Literal["share", "seconds", "number"]
    against: Literal["over", "below"] | None

    def met(self, value: float) -> bool:
        """Whether a value, in `unit`, is what it must be."""
        return bool(_COMPARE[self.compare](value, self.limit))


def must(value: object) -> Must:
    """From the plan's text. Raises ValueError with the valid forms."""
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or not match:
        raise ValueError(f"{value!r} is nothing that a KPI can be held to; valid values look like {_valid()}")
    (unit, scale), against = _UNITS[match[4]], match[5]
    quantile = float(match[1]) / 100 if match[1] else None
    if quantile == 0:
        raise ValueError(f"{value!r}: p0 is no quantile; such as p50, p95, p99.9")
    if against and unit != "share":
        raise ValueError(f"{value!r}: a comparison with the baseline is written in %, such as {FORMS[3]!r}")
    side: Literal["over", "below"] | None = None if not against else "over" if against == "over" else "below"
    return Must(value, quantile, match[2], float(match[3]) / scale, unit, side)


def _valid() -> str:
    return ", ".join(repr(form) for form in FORMS)


class _Written:
    """Tells pydantic and JSON Schema that it is a text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(must)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "examples": list(FORMS)}


MustText = Annotated[Must, _Written()]
