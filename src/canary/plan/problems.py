"""Problems of a plan: where in the document, what was wrong, what would be right."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, SchemaSerializer, core_schema

from canary.plan.signals import Strict
from canary.plan.units import WORDS

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=Strict)


_MUST_BE = {
    "string_type": "a text; write a number or true/false in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. path: keys and indices from the top; at_key: the key itself is wrong."""

    path: Path
    what: str
    at_key: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.what}" if self.path else self.what


def dotted(path: Path) -> str:
    """A path as people write it: phases[1].criteria[0]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def choice(word: str, valid: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the valid ones, and the nearest."""
    words = list(valid)
    close = difflib.get_close_matches(word, words, 1, 0.6)
    listed = f"valid values: {', '.join(words)}" if words else "none is defined"
    return listed + (f"; did you mean {close[0]!r}?" if close else "")


def shaped(model: type[Model], body: str) -> tuple[Model | None, list[Problem]]:
    """The model from a JSON body, or everything that is wrong with the body's shape."""
    try:
        return model.model_validate_json(body), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_problem(model, detail) for detail in found if not _emptied(detail, found)]


def _emptied(error: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """A list is called too short when what stands in it is wrong: that is told already."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(o["loc"][: len(loc)] == loc and o is not error for o in others)


def _problem(model: type[Strict], error: ErrorDetails) -> Problem:
    loc = tuple(part for part in error["loc"] if not str(part).startswith("<") and part != "[key]")
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            valid = valid_keys(model, loc[:-1])
            return Problem(loc, f"unknown key; {choice(str(loc[-1]), valid)}", at_key=True)
        case "missing":
            return Problem(loc[:-1], f"the required key {loc[-1]!r} is missing", at_key=True)
        case "string_pattern_mismatch":
            what = f"must be {WORDS[context['pattern']]}"
        case "literal_error" | "enum":
            what = _literal(error)
        case "value_error":
            what = str(context["error"])
        case kind if kind in _MUST_BE:
            what = f"must be {_MUST_BE[kind]}"
        case _:
            what = error["msg"][0].lower() + error["msg"][1:]
    return Problem(loc, what, at_key="[key]" in error["loc"])


def _literal(error: ErrorDetails) -> str:
    valid = [word.strip("'") for word in error.get("ctx", {})["expected"].replace(" or ", ", ").split(", ")]
    return f"unknown value; {choice(str(error['input']), valid)}"


def valid_keys(model: type[Strict], path: Path) -> list[str]:
    """The keys that a mapping at that path of the model's document may have."""
    schema = _schema(model)
    nodes = [schema]
    for part in path:
        nodes = [child for node in _options(schema, nodes) for child in _children(node, part)]
    return list(dict.fromkeys(key for node in _options(schema, nodes) for key in node.get("properties", {})))


@cache
def _schema(model: type[Strict]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=PlanSchema)


class PlanSchema(GenerateJsonSchema):
    """A key of a plan may be left out, but never stand without a value."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The schema of the value alone."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults in plan notation; what is left out by default is not written as null."""
        made, default = super().default_schema(schema), schema.get("default")
        if isinstance(default, float | tuple) and default:
            made["default"] = SchemaSerializer(schema["schema"]).to_python(default, mode="json")
        return {key: value for key, value in made.items() if (key, value) != ("default", None)}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Names that do not follow the pattern are refused."""
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made


def _options(schema: Mapping[str, Any], nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes with references and alternatives followed to what they stand for."""
    found: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            found += _options(schema, [schema["$defs"][node["$ref"].rpartition("/")[2]]])
        elif alternatives := node.get("anyOf") or node.get("oneOf"):
            found += _options(schema, alternatives)
        else:
            found.append(node)
    return found


def _children(node: Mapping[str, Any], part: str | int) -> list[dict[str, Any]]:
    if isinstance(part, int):
        return [node["items"]] if "items" in node else []
    if part in node.get("properties", {}):
        return [node["properties"][part]]
    return [*node.get("patternProperties", {}).values()]


def canonical(data: Mapping[str, Any]) -> str:
    """JSON without spaces. Keys stay in order: a plan's targets are exposed in the order they are written."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
