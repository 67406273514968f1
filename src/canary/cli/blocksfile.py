"""A blocks file: references to fields, values from the environment; and everything that is wrong with one.

No problem says what stands in a variable: it names the field and the variable.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, get_args

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from canary.blocks.registry import Block, block_class, block_name
from canary.cli.variables import VARIABLE, Variables
from canary.errors import CredentialError, PlanError, Refused
from canary.plan.problems import Problem, choice
from canary.plan.source import read

SHAPE = "a blocks file is a YAML mapping of kind/name: to the block's fields"
_IN_CLEAR = "is a secret: write ${NAME} here, and set NAME in the environment"


@dataclass(frozen=True, slots=True)
class BlocksFile:
    """blocks: reference → fields, variables filled in; secrets in clear. problems: each with file, line, column."""

    blocks: Mapping[str, Mapping[str, Any]] = field(repr=False)
    problems: tuple[str, ...]


def read_blocks(file: File, env: Mapping[str, str]) -> BlocksFile:
    """Every block of the file in its order, and every problem found: with one, no block is to be used."""
    try:
        source = read(file, SHAPE)
    except PlanError as error:
        return BlocksFile({}, error.problems)
    blocks, found = {}, []
    for ref, written in source.data.items():
        variables = Variables(env)
        blocks[ref] = variables.fill(written, (ref,))
        found += [*variables.problems, *_problems(ref, written, blocks[ref], variables)]
    located = sorted({*source.problems, *source.located(found)})
    return BlocksFile(blocks, tuple(f"{place}: {what}" for place, what in located))


def _problems(ref: str, written: Any, fields: Any, variables: Variables) -> Iterator[Problem]:
    """What is wrong with one block. written: as it stands in the file; fields: the same, variables filled in."""
    try:
        cls = block_class(ref)
        block_name(ref)
    except CredentialError as error:
        yield Problem((ref,), error.what, at_key=True)
    except Refused as error:
        yield Problem((ref,), f"{error.what}; {error.fix}", at_key=True)
        return
    if not isinstance(fields, Mapping):
        yield Problem((ref,), "must be a mapping of fields; {} for none")
        return
    unknown = [name for name in fields if name not in cls.model_fields]
    for name in unknown:
        yield Problem((ref, name), f"no such field; {choice(name, cls.model_fields)}", at_key=True)
    yield from (Problem((ref, name), _IN_CLEAR) for name in fields if _in_clear(cls, name, written[name]))
    unfilled = {problem.path[1] for problem in variables.problems if len(problem.path) > 1}
    left = {name: value for name, value in fields.items() if name not in unfilled and name not in unknown}
    told = {*unfilled, *(near for name in unknown for near in difflib.get_close_matches(name, cls.model_fields, 1))}
    for problem in _invalid(ref, cls, left, told, whole=len(left) == len(fields)):
        yield Problem(problem.path, variables.hidden(problem.what), problem.at_key)


def _in_clear(cls: type[Block], name: str, written: Any) -> bool:
    """Whether a secret stands in the file itself."""
    kind = cls.model_fields[name].annotation if name in cls.model_fields else None
    secret = kind is SecretStr or SecretStr in get_args(kind)
    return secret and not (isinstance(written, str) and VARIABLE.search(written))


def _invalid(ref: str, cls: type[Block], fields: dict[str, Any], told: set[Any], whole: bool) -> Iterator[Problem]:
    """What the block itself says of its fields. told: fields of which something was said already.

    whole: no field was left out, so that what it says of all of them together counts.
    """
    try:
        cls(**fields)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            of = detail["loc"][0] if detail["loc"] else None
            if of not in told and (of is not None or whole):
                yield _problem(ref, detail)


def _problem(ref: str, detail: ErrorDetails) -> Problem:
    if detail["type"] == "missing":
        return Problem((ref,), f"the required field {str(detail['loc'][0])!r} is missing", at_key=True)
    message = detail["msg"].removeprefix("Value error, ")
    return Problem((ref, *detail["loc"]), message[0].lower() + message[1:])
