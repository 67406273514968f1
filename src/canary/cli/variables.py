"""${NAME} in the fields of a block, filled in from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from canary.plan.problems import Path, Problem

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORT = 4
"""Values of fewer letters are everywhere by chance: to hide them would make sentences unreadable."""


class Variables:
    """The environment, for one block. Remembers what it gave, and what was not there."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._given: dict[str, str] = {}
        self.problems: list[Problem] = []

    def fill(self, value: Any, path: Path) -> Any:
        """The value with every variable in it filled in; what cannot be is a problem at its path."""
        if isinstance(value, Mapping):
            return {key: self.fill(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) else value

    def hidden(self, sentence: str) -> str:
        """The sentence with the variable's name wherever a value stood."""
        for name, value in sorted(self._given.items(), key=lambda given: -len(given[1])):
            for written in (value, repr(value)[1:-1]) if len(value) >= _SHORT else ():
                sentence = sentence.replace(written, f"${{{name}}}")
        return sentence

    def _text(self, text: str, path: Path) -> str:
        if "${" in VARIABLE.sub("", text):
            self.problems.append(Problem(path, "a variable is written ${NAME}, in letters, digits and _"))
        return VARIABLE.sub(lambda found: self._variable(found[1], path), text)

    def _variable(self, name: str, path: Path) -> str:
        value = self._env.get(name, "")
        if value:
            self._given[name] = value
        else:
            why = "is set, but empty" if name in self._env else "is not set"
            self.problems.append(Problem(path, f"the environment variable {name} {why}"))
        return value
