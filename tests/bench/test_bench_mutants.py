"""`python -m bench.mutants`: what is changed, that the change takes effect, and what is told of it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench.mutants.__main__ import EQUIVALENT
from bench.mutants.installing import bodies, functions, install
from bench.mutants.kept import Kept, Row
from bench.mutants.operators import Mutant, mutants
from bench.mutants.session import ROOT, Facts
from bench.mutants.targets import AIM, FILES, TESTS

SOURCE = '''
"""A module."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

LIMIT = 3
TWICE = LIMIT * 2


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing."""

    size: int = 1
    parts: list[int] = field(default_factory=list)

    @property
    def large(self) -> bool:
        return self.size > LIMIT


@singledispatch
def told(value: object) -> str:
    return f"{1 + 1} things"


@told.register
def _(value: int) -> str:
    assert value < 100
    return str(value + 1)


async def late(first: int = 0, *, second: bool = False) -> int | None:
    if second and not first:
        return None
    return first


def twice(value: int) -> int:
    return value * 2
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The source, imported."""
    file = tmp_path / "mutated_example.py"
    file.write_text(textwrap.dedent(SOURCE))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, made)
    spec.loader.exec_module(made)
    functions.cache_clear()
    return made


def all_of(module: ModuleType) -> dict[str, Mutant]:
    assert module.__file__
    found = list(mutants(Path(module.__file__).read_text(), module.__file__))
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def test_texts_annotations_and_assertions_are_left_alone(module: ModuleType) -> None:
    """Every other number, comparison, condition, result, statement and argument has its mutants."""
    assert sorted(all_of(module)) == sorted(
        [
            "LIMIT: 3 → 4",
            "TWICE: LIMIT * 2 → LIMIT / 2",
            "TWICE: 2 → 3",
            "Thing.size: 1 → 2",
            "Thing.large: return self.size > LIMIT → return None",
            "Thing.large: self.size > LIMIT → self.size <= LIMIT",
            "Thing.large: self.size > LIMIT → self.size >= LIMIT",
            "told: return f'{1 + 1} things' → return None",
            "int: return str(value + 1) → return None",
            "int: str(value + 1) without value + 1",
            "int: value + 1 → value - 1",
            "int: 1 → 2",
            "late: 0 → 1",
            "late: False → True",
            "late: second and (not first) → second or not first",
            "late: not first → first",
            "late: return first → return None",
            "twice: return value * 2 → return None",
            "twice: value * 2 → value / 2",
            "twice: 2 → 3",
        ]
    )


def test_a_mutant_is_one_change(module: ModuleType) -> None:
    """The function that it is in has another body, and no other function has; outside of functions, none."""
    before = {key: found[0].__code__ for key, found in functions(module).items()}
    for name, each in all_of(module).items():
        changed = [key for key, body in bodies(each.code) if body != before[key]]
        assert len(changed) == (0 if each.lines is None else 1), name


@pytest.mark.parametrize(
    ("name", "look", "before", "after"),
    [
        ("Thing.large: self.size > LIMIT → self.size >= LIMIT", lambda m: m.Thing(3).large, False, True),
        ("int: value + 1 → value - 1", lambda m: m.told(5), "6", "4"),
        ("Thing.size: 1 → 2", lambda m: m.Thing().size, 1, 2),
        ("LIMIT: 3 → 4", lambda m: (m.LIMIT, m.TWICE, m.Thing(4).large), (3, 6, True), (4, 8, False)),
        ("late: 0 → 1", lambda m: asyncio.run(m.late()), 0, 1),
        ("late: False → True", lambda m: asyncio.run(m.late()), 0, None),
        ("late: not first → first", lambda m: asyncio.run(m.late(2, second=True)), 2, None),
    ],
)
def test_a_mutant_takes_effect_wherever_its_function_is_registered(
    module: ModuleType, name: str, look: Callable[[ModuleType], object], before: object, after: object
) -> None:
    """Properties, registrations, coroutines, defaults, fields, and constants that others are made of."""
    thing, mutant = module.Thing, all_of(module)[name]
    assert look(module) == before
    install(module, mutant.code)
    assert look(module) == after
    assert module.Thing is thing


def test_a_constant_changes_where_it_was_imported_to(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from x import LIMIT` has made a copy of the name."""
    other = ModuleType("mutated_importer")
    other.LIMIT = module.LIMIT  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, other.__name__, other)
    install(module, all_of(module)["LIMIT: 3 → 4"].code)
    assert vars(other)["LIMIT"] == 4


def test_what_changes_nothing_is_no_mutant(module: ModuleType) -> None:
    """The source as it is cannot be put in the place of itself: a mutant without effect would be a survivor."""
    assert module.__file__
    same = compile(Path(module.__file__).read_text(), module.__file__, "exec")
    with pytest.raises(LookupError):
        install(module, same)


def test_the_tests_of_a_mutant_are_those_that_run_its_lines() -> None:
    """Quickest first; all of them for what is outside of functions; none where none runs it."""
    facts = Facts({"slow": 2.0, "quick": 0.1, "other": 1.0}, {"a.py": {3: ["slow", "quick"], 9: ["other"]}})
    assert facts.tests("a.py", range(2, 4)) == ["quick", "slow"]
    assert facts.tests("a.py", None) == ["quick", "other", "slow"]
    assert facts.tests("a.py", range(4, 9)) == []
    assert facts.tests("b.py", range(2, 4)) == []


def mutant(name: str) -> Mutant:
    return Mutant(name, 7, None, compile("", "x", "exec"))


def test_what_was_killed_is_not_tried_again_while_the_file_is_what_it_was(tmp_path: Path) -> None:
    """A survivor is, there may be new tests; of a file that changed, everything is. An equivalent one counts for
    neither side."""
    out, equivalent = tmp_path / "out.json", tmp_path / "equivalent.json"
    equivalent.write_text(json.dumps({"a.py": {"c": "nothing differs"}}))
    every = [mutant("a"), mutant("b"), mutant("c")]
    kept = Kept(out, equivalent)
    assert kept.begin("a.py", "text", every) == every
    for each, killed in zip(every, (True, False, False), strict=True):
        kept.tell("a.py", each, killed)
    row = json.loads(out.read_text())["a.py"]
    assert (row["mutants"], row["equivalent"], row["killed"], row["score"]) == (3, 1, 1, 0.5)
    assert row["survived"] == [{"line": 7, "mutant": "b"}]
    assert Kept(out, equivalent).begin("a.py", "text", every) == every[1:]
    assert Kept(out, equivalent).begin("a.py", "changed", every) == every


def test_a_mutant_that_is_wrongly_called_equivalent_is_told() -> None:
    """It was killed, or there is no such mutant any more."""
    row = Row("", ("a", "b"), {"a": "why", "b": "why", "gone": "why"}, killed={"a"})
    assert row.wrongly_equivalent == ["a", "gone"]


def test_the_committed_results_reach_the_aim_in_every_file() -> None:
    """None is left out, and what is called equivalent was not killed."""
    kept, equivalent = (json.loads(path.read_text()) for path in (ROOT / "bench/results/mutants.json", EQUIVALENT))
    assert list(kept) == sorted(FILES)
    assert {file: row["score"] for file, row in kept.items() if row["score"] < AIM} == {}
    for file, reasons in equivalent.items():
        assert not reasons.keys() & set(kept[file]["killed_mutants"])
        assert all(reasons.values())


def test_every_chosen_test_file_is_there() -> None:
    """A file that was renamed would run no test at all."""
    assert [file for file in TESTS if not (ROOT / file).is_file()] == []
    assert os.path.commonpath(TESTS) == "tests"
