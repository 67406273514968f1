"""What became of each mutant, in a file that a later run goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.mutants.operators import Mutant


@dataclass
class Row:
    """One file's mutants by name. lines: survivor → its line. equivalent: name → why no test can notice."""

    sha256: str
    mutants: tuple[str, ...]
    equivalent: Mapping[str, str]
    killed: set[str] = field(default_factory=set)
    survived: dict[str, int] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        return len(self.mutants) - len(self.equivalent)

    @property
    def score(self) -> float:
        """The share, 0–1, of those that are not equivalent that were killed."""
        return len(self.killed - self.equivalent.keys()) / self.counted if self.counted else 1.0

    @property
    def wrongly_equivalent(self) -> list[str]:
        """Said to be equivalent, and killed all the same, or no mutants at all."""
        return [name for name in self.equivalent if name in self.killed or name not in self.mutants]

    def to_data(self) -> dict[str, Any]:
        survivors = [{"line": line, "mutant": name} for name, line in self.survived.items()]
        return {
            "sha256": self.sha256,
            "mutants": len(self.mutants),
            "equivalent": len(self.equivalent),
            "killed": len(self.killed - self.equivalent.keys()),
            "score": round(self.score, 4),
            "survived": sorted((x for x in survivors if x["mutant"] not in self.equivalent), key=_line),
            "killed_mutants": [name for name in self.mutants if name in self.killed],
        }


class Kept:
    """The file of results. A killed mutant of a file that is what it was is not tried again; a survivor is: there may
    be new tests. Raises OSError or ValueError for a file that holds something else."""

    def __init__(self, path: Path, equivalent: Path) -> None:
        self.path = path
        self.equivalent: Mapping[str, Mapping[str, str]] = json.loads(equivalent.read_text())
        self.former = json.loads(path.read_text()) if path.exists() else {}
        self.rows: dict[str, Row] = {}

    def begin(self, file: str, text: str, every: Sequence[Mutant]) -> list[Mutant]:
        """Those that are still to be tried."""
        names = tuple(mutant.name for mutant in every)
        row = Row(hashlib.sha256(text.encode()).hexdigest(), names, self.equivalent.get(file, {}))
        former = self.former.get(file, {})
        if former.get("sha256") == row.sha256:
            row.killed = set(former["killed_mutants"]) & set(names)
        self.rows[file] = row
        return [mutant for mutant in every if mutant.name not in row.killed]

    def tell(self, file: str, mutant: Mutant, killed: bool) -> None:
        row = self.rows[file]
        if killed:
            row.killed.add(mutant.name)
        else:
            row.survived[mutant.name] = mutant.line
        self.write()

    def write(self) -> None:
        found = self.former | {file: row.to_data() for file, row in self.rows.items()}
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        beside.replace(self.path)


def _line(survivor: Mapping[str, Any]) -> tuple[int, str]:
    return survivor["line"], survivor["mutant"]
