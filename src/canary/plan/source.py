"""YAML with places: plain data, and for every key and value the file, line and column where it stands.

YAML 1.2: `on` and `no` are texts. Numbers are read only as 12 and 1.5; whatever else looks like one (010,
1e3, 0x1F, 12:30, 2025-01-01) stays the text that was written. A key without a value is an error,
never a default.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from canary.errors import PlanError
from canary.plan.problems import Path, Problem, dotted

PLAN = "a plan is a YAML mapping that begins with name: and service:"

_MAX_BYTES = 1_000_000
_MAX_NODES = 20_000
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}")
_NOTHING = "nothing stands here; give a value, or delete this"
_SCALARS = ("str", "int", "float", "bool", "timestamp")
_NEEDS_QUOTES = ("comment or a line break", "'>'", "'%'", "'@'", "'`'", "'|'")


class Place(NamedTuple):
    """Where something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Source:
    """One document: data, and the places of its values and keys. `problems` are those of the YAML itself."""

    data: dict[str, Any]
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, path: Path, at_key: bool = False) -> Place:
        """The place of a path, or of the nearest thing around it that is there."""
        while path not in self.values:
            path = path[:-1]
        return self.keys.get(path, self.values[path]) if at_key else self.values[path]

    def located(self, problems: Iterable[Problem]) -> list[tuple[Place, str]]:
        """The problems with their places."""
        return [(self.place(problem.path, problem.at_key), str(problem)) for problem in problems]


def raise_all(problems: Iterable[tuple[Place, str]]) -> None:
    """Raise PlanError with the problems in the order of the files; nothing if there is none."""
    if found := sorted(set(problems)):
        raise PlanError([f"{place}: {what}" for place, what in found])


def read(file: File, shape: str = PLAN) -> Source:
    """The document of a file. Raises PlanError with one problem when it is no readable YAML mapping.

    shape: the sentence for a file that is something else: what it should be.
    """
    text = _text(file, shape)
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _failed(file, _words(error), error.problem_mark or error.context_mark) from None
    except (YAMLError, RecursionError) as error:
        raise _failed(file, f"cannot be read as YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise _failed(file, f"the file is empty; {shape}")
    if not isinstance(root, MappingNode):
        raise _failed(file, shape, root.start_mark)
    return _Reader(str(file)).document(root)


def _text(file: File, shape: str) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise _failed(file, f"is larger than 1 MB; {shape}")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        close = difflib.get_close_matches(file.name, [f.name for f in file.parent.glob("*.y*ml")], 1)
        hint = f"; did you mean {str(file.parent / close[0])!r}?" if close else ""
        raise PlanError([f"{file}: no such file{hint}"]) from None
    except IsADirectoryError:
        raise PlanError([f"{file}: is a directory; name the YAML file in it"]) from None
    except UnicodeDecodeError:
        raise _failed(file, f"is no text file in UTF-8; {shape}") from None
    except OSError as error:
        raise PlanError([f"{file}: cannot be read: {error.strerror}"]) from None


def _failed(file: File, what: str, mark: Any = None) -> PlanError:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return PlanError([f"{Place(str(file), line, column)}: {what}"])


def _words(error: MarkedYAMLError) -> str:
    parts = (error.context if (error.problem or "").startswith("but") else None, error.problem)
    problem = ", ".join(" ".join(part.split()) for part in parts if part)
    if "'\\t'" in problem:
        return "broken YAML: a tab; indent with spaces"
    hint = "; put the value in quotes" if any(sign in problem for sign in _NEEDS_QUOTES) else ""
    return f"broken YAML: {problem}{hint}"


class _Reader:
    """Nodes into data. Collects what is wrong instead of stopping at the first."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.source = Source({})
        self.open: set[int] = set()
        self.nodes = 0

    def document(self, root: MappingNode) -> Source:
        self.source.data.update(self.value(root, ()))
        return self.source

    def value(self, node: Node, path: Path) -> Any:
        self.source.values[path] = self.place(node)
        self.nodes += 1
        if id(node) in self.open or self.nodes > _MAX_NODES:
            what = "an alias inside its own anchor" if id(node) in self.open else "aliases make the document too large"
            raise PlanError([f"{self.place(node)}: {what}"])
        self.open.add(id(node))
        try:
            return self.inside(node, path)
        finally:
            self.open.discard(id(node))

    def inside(self, node: Node, path: Path) -> Any:
        kind = _kind(node)
        if isinstance(node, MappingNode) and kind == "map":
            return self.mapping(node, path)
        if isinstance(node, SequenceNode) and kind == "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and kind in _SCALARS:
            return _scalar(str(node.value), kind)
        self.wrong(node, path, _NOTHING if kind == "null" else f"the tag !{kind} means nothing here")
        return ""

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if (key := self.key(key_node, path, data)) is None:
                continue
            self.source.keys[(*path, key)] = self.place(key_node)
            if _kind(value_node) == "null":
                self.wrong(key_node, (*path, key), _NOTHING)
            else:
                data[key] = self.value(value_node, (*path, key))
        return data

    def key(self, node: Node, path: Path, seen: dict[str, Any]) -> str | None:
        """The key, or None when it cannot be used."""
        if not isinstance(node, ScalarNode) or _kind(node) not in _SCALARS:
            self.wrong(node, path, "a key must be a plain text; merge keys (<<) are not used here")
            return None
        if node.value in seen:
            first = self.source.keys[(*path, node.value)].line
            self.wrong(node, (*path, node.value), f"the key stands twice; first in line {first}")
            return None
        return str(node.value)

    def wrong(self, node: Node, path: Path, what: str) -> None:
        self.source.problems.append((self.place(node), f"{dotted(path)}: {what}" if path else what))

    def place(self, node: Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(text: str, kind: str) -> str | int | float | bool:
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if kind == "float" and _DECIMAL.fullmatch(text) else text


def _kind(node: Node) -> str:
    return str(node.tag).removeprefix(_TAG).removeprefix("!")
