"""Rules: what a phase must show before promotion (criteria), and what forces a rollback (triggers).

In a plan a rule is a mapping from a signal to a text, optionally narrowed to features:
`{api_latency: p95 < 200ms}`, `{http_errors: any, on: features}`. Limits are shares 0–1 or seconds. How a rule is
judged may stand beside it (see `canary.plan.how`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from canary.plan.how import HOW, How, how_of

ON_ALL = "features"


@dataclass(frozen=True, slots=True)
class Measured:
    """What all rules share. text: the rule as written; measure: the id of what is measured.

    Such as "http_errors", "http_errors on features" (all of them) or "http_errors on queue, export".
    """

    text: str
    measure: str
    how: How = field(default=How(), kw_only=True)

    @property
    def signal(self) -> str:
        """The name of the signal that is measured."""
        return self.measure.partition(" on ")[0]

    @property
    def on(self) -> tuple[str, ...]:
        """The features it is narrowed to: () = not narrowed, ("features",) = all of them."""
        return narrowing(self.measure)


@dataclass(frozen=True, slots=True)
class RateBelow(Measured):
    """Criterion "< 1%": the share of bad events stays below `limit`."""

    limit: float


@dataclass(frozen=True, slots=True)
class RateAbove(Measured):
    """Trigger "> 5%": the share of bad events is above `limit`."""

    limit: float


@dataclass(frozen=True, slots=True)
class OfQuantile(Measured):
    """What rules on a quantile (0–1) share. limit: seconds, or for a histogram of ratios a share 0–1."""

    quantile: float
    limit: float
    unit: Literal["seconds", "share"] = "seconds"


@dataclass(frozen=True, slots=True)
class QuantileBelow(OfQuantile):
    """Criterion "p95 < 200ms", "p50 < 20%": the quantile stays below the limit."""


@dataclass(frozen=True, slots=True)
class QuantileAbove(OfQuantile):
    """Trigger "p95 > 1s", "p50 > 20%": the quantile is above the limit."""


@dataclass(frozen=True, slots=True)
class RatioAbove(OfQuantile):
    """Criterion "p20 > 85%": the quantile of ratios stays above the limit (85 % is exceeded in 80 % of cases)."""


@dataclass(frozen=True, slots=True)
class RatioBelow(OfQuantile):
    """Trigger "p10 < 0.5": the quantile of ratios is below the limit (more than 10 % of cases are under a half)."""


@dataclass(frozen=True, slots=True)
class NoneSeen(Measured):
    """Criterion "none": not one bad event."""


@dataclass(frozen=True, slots=True)
class AnySeen(Measured):
    """Trigger "any", or "crash" for signals of UI components: one bad event."""


@dataclass(frozen=True, slots=True)
class OfBaseline(Measured):
    """What rules on canary and baseline share. by: so much worse, 0.2 for 20 %; quantile: of a histogram, when named.

    Of a counter it compares shares of bad events, of a histogram latency, of a gauge the values.
    """

    by: float
    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class WorseThanBaseline(OfBaseline):
    """Trigger "> 20% over baseline", "worse than baseline": the canary is more than (1 + by) times as bad."""


@dataclass(frozen=True, slots=True)
class NoWorseThanBaseline(OfBaseline):
    """Criterion "no worse than baseline by 20%": the canary is at most (1 + by) times as bad."""


Rule = (
    RateBelow
    | RateAbove
    | QuantileBelow
    | QuantileAbove
    | RatioAbove
    | RatioBelow
    | NoneSeen
    | AnySeen
    | WorseThanBaseline
    | NoWorseThanBaseline
)
OF_COUNTERS = (RateBelow, RateAbove, NoneSeen, AnySeen)
"""The rules that count bad events; the others compare quantiles of a histogram."""


def is_literal(rule: Rule) -> bool:
    """Whether the rule is judged as it is written."""
    return isinstance(rule, NoneSeen | AnySeen) or rule.how.profile == "literal"


def narrowing(measure: str) -> tuple[str, ...]:
    """The features named by a measure id; () when it names none."""
    _, _, features = measure.partition(" on ")
    return tuple(features.split(", ")) if features else ()


_NUMBER = r"(\d{1,6}(?:\.\d{1,6})?)"
_QUANTILE = r"p(\d{1,2}(?:\.\d{1,4})?)"
_RATE = re.compile(rf"([<>])\s*{_NUMBER}\s*%")
_LATENCY = re.compile(rf"{_QUANTILE}\s*([<>])\s*{_NUMBER}\s*(ms|s)")
_RATIO = re.compile(rf"{_QUANTILE}\s*([<>])\s*{_NUMBER}\s*(%?)")
_OVER = re.compile(rf"(?:{_QUANTILE}\s*)?>\s*{_NUMBER}\s*%\s+over\s+baseline")
_WORSE = re.compile(rf"(?:{_QUANTILE}\s+)?worse\s+than\s+baseline")
_NO_WORSE = re.compile(rf"(?:{_QUANTILE}\s+)?no\s+worse\s+than\s+baseline\s+by\s+{_NUMBER}\s*%")


def _rate(text: str, measure: str) -> Rule | None:
    if not (match := _RATE.fullmatch(text)):
        return None
    limit = float(match[2]) / 100
    if not 0 < limit < 1:
        raise ValueError(f"{text!r}: a limit lies between 0% and 100%; for 'not one' write: none, or any")
    return (RateBelow if match[1] == "<" else RateAbove)(text, measure, limit)


def _latency(text: str, measure: str) -> Rule | None:
    if not (match := _LATENCY.fullmatch(text)):
        return None
    limit = float(match[3]) / (1000 if match[4] == "ms" else 1)
    if not limit:
        raise ValueError(f"{text!r}: a latency limit must be above 0ms")
    kind = QuantileBelow if match[2] == "<" else QuantileAbove
    return kind(text, measure, _quantile(text, match[1]), limit)


def _kept_ratio(text: str, measure: str) -> Rule | None:
    return _ratio(text, measure, QuantileBelow, RatioAbove)


def _broken_ratio(text: str, measure: str) -> Rule | None:
    return _ratio(text, measure, RatioBelow, QuantileAbove)


def _ratio(text: str, measure: str, below: type[Rule], above: type[Rule]) -> Rule | None:
    """The side decides the meaning: confidence must be above 85 % as a criterion, an error above 20 % is a trigger."""
    if not (match := _RATIO.fullmatch(text)) or (not match[4] and float(match[3]) >= 1):
        return None
    limit = float(match[3]) / (100 if match[4] else 1)
    if not 0 < limit < 1:
        raise ValueError(f"{text!r}: the limit of a ratio lies between 0% and 100%, such as 85% or 0.85")
    kind = below if match[2] == "<" else above
    return kind(text, measure, _quantile(text, match[1]), limit, "share")  # type: ignore[call-arg, arg-type]


def _compared(text: str, measure: str) -> Rule | None:
    kind: type[OfBaseline] = WorseThanBaseline
    match = _OVER.fullmatch(text) or _WORSE.fullmatch(text)
    if match is None:
        kind, match = NoWorseThanBaseline, _NO_WORSE.fullmatch(text)
    if match is None:
        return None
    by = float(match[2]) / 100 if match.re is not _WORSE else 0.0
    if not by and match.re is not _WORSE:
        valid = "worse than baseline" if kind is WorseThanBaseline else "no worse than baseline by 20%"
        raise ValueError(f"{text!r}: 0% is no difference that could be shown; such as {valid!r}")
    return kind(text, measure, by, _quantile(text, match[1]) if match[1] else None)  # type: ignore[return-value]


def _quantile(text: str, digits: str) -> float:
    if not float(digits):
        raise ValueError(f"{text!r}: p0 is no quantile; such as p50, p95, p99.9")
    return float(digits) / 100


def _word(text: str, measure: str) -> Rule | None:
    if text == "none":
        return NoneSeen(text, measure)
    return AnySeen(text, measure) if text in ("any", "crash") else None


_Reader = Callable[[str, str], Rule | None]
_READERS: tuple[_Reader, ...] = (_rate, _latency, _compared, _word)
_CRITERIA = (RateBelow, QuantileBelow, RatioAbove, NoneSeen, NoWorseThanBaseline)
_CRITERIA_FORMS = ("p95 < 200ms", "< 1%", "none", "p20 > 85%", "no worse than baseline by 20%")
_TRIGGERS_FORMS = ("p95 > 1s", "> 5%", "> 20% over baseline", "worse than baseline", "any", "crash", "p10 < 50%")


def criterion(value: object) -> Rule:
    """A criterion from its mapping in the plan. Raises ValueError with the valid forms."""
    rule, text = _read(value, _CRITERIA_FORMS, _kept_ratio)
    if isinstance(rule, _CRITERIA):
        return rule
    raise ValueError(_refusal(text, "criterion", _CRITERIA_FORMS, belongs="triggers" if rule else ""))


def trigger(value: object) -> Rule:
    """A trigger from its mapping in the plan. Raises ValueError with the valid forms."""
    rule, text = _read(value, _TRIGGERS_FORMS, _broken_ratio)
    if rule is not None and not isinstance(rule, _CRITERIA):
        return rule
    raise ValueError(_refusal(text, "trigger", _TRIGGERS_FORMS, belongs="criteria" if rule else ""))


def _read(value: object, forms: Sequence[str], ratio: _Reader) -> tuple[Rule | None, str]:
    if not isinstance(value, dict) or len(value.keys() - {"on", *HOW}) != 1:
        raise ValueError(f"must be one signal and its rule, such as {{http_errors: {forms[1]!r}}}")
    ((signal, text),) = ((key, told) for key, told in value.items() if key not in ("on", *HOW))
    if not isinstance(text, str):
        raise ValueError(f"the rule of {signal} must be a text; {_valid(forms)}")
    measure = f"{signal}{_on(value)}"
    rule = next((rule for read in (*_READERS, ratio) if (rule := read(text, measure))), None)
    return rule and replace(rule, how=_how(value, rule)), text


def _how(value: dict[str, Any], rule: Rule) -> How:
    if isinstance(rule, NoneSeen | AnySeen):
        return how_of(value, ())
    return how_of(
        value, ("weight", "margin", "profile") if isinstance(rule, OfBaseline) else ("weight", "cluster", "profile")
    )


def _on(value: dict[str, Any]) -> str:
    if "on" not in value:
        return ""
    told = value["on"]
    names = [told] if isinstance(told, str) else told
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise ValueError("on: must be 'features' (all of them), one feature, or a list of features")
    if len(set(names)) < len(names) or (ON_ALL in names and len(names) > 1):
        raise ValueError("on: names a feature twice; each feature once, or 'features' alone for all of them")
    return " on " + ", ".join(names)


def _valid(forms: Sequence[str]) -> str:
    return "valid values: " + ", ".join(repr(form) for form in forms)


def _refusal(text: str, what: str, forms: Sequence[str], belongs: str) -> str:
    if belongs:
        return f"{text!r} belongs under {belongs}; {_valid(forms)}"
    close = difflib.get_close_matches(text, [_with_numbers(form, text) for form in forms], 1, 0.5)
    return f"{text!r} is no {what}; {_valid(forms)}" + (f"; did you mean {close[0]!r}?" if close else "")


def _with_numbers(form: str, text: str) -> str:
    """The form with the text's own quantile and number: a suggestion keeps the writer's numbers."""
    quantile = re.search(r"p\d+(?:\.\d+)?", text)
    number = re.search(r"(?<![p\d.])\d+(?:\.\d+)?", text)
    form = re.sub(r"p\d+", quantile[0], form) if quantile else form
    return re.sub(r"(?<![p\d.])\d+", number[0], form) if number else form


@dataclass(frozen=True, slots=True)
class _Written:
    """Tells pydantic that a rule is written as a mapping, and which texts are valid."""

    read: Callable[[object], Rule]
    forms: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        on = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
        return {
            "type": "object",
            "properties": {
                "on": {**on, "description": "'features' (all of them), a feature, or a list of them."},
                **HOW,
            },
            "additionalProperties": {"type": "string", "examples": list(self.forms)},
            "minProperties": 1,
            "maxProperties": 2 + len(HOW),
        }


Criterion = Annotated[Rule, _Written(criterion, _CRITERIA_FORMS)]
Trigger = Annotated[Rule, _Written(trigger, _TRIGGERS_FORMS)]
