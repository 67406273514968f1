"""Cells of one's own: what a file may say, and what is told of one that says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.judge.cell import Errors, load
from canary.errors import BadUsage

CELLS = Path(__file__).resolve().parents[2] / "bench" / "judge" / "cells"


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"cells": entries}))
    return path


@pytest.mark.parametrize(("name", "least"), [("headline.json", 100), ("full.json", 1000)])
def test_the_cells_of_this_repository_can_be_read(name: str, least: int) -> None:
    """All different."""
    titles = [cell.title for cell in load(CELLS / name)]
    assert len(titles) == len(set(titles)) >= least


def test_a_list_stands_for_one_cell_each(tmp_path: Path) -> None:
    """Two lists, for every pair; the same cell twice is one."""
    path = written(tmp_path / "c", {"rps": [1, 10], "bad": [0.1, 0.2]}, {"rps": 10, "bad": 0.1})
    assert [cell.title for cell in load(path)] == [
        "errors: rps 1, bad 0.1; iid",
        "errors: rps 1, bad 0.2; iid",
        "errors: rps 10, bad 0.1; iid",
        "errors: rps 10, bad 0.2; iid",
    ]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"rps": 10}, "entry 2: bad: Field required"),
        ({"rps": 10, "bad": 0.1, "rate": 3}, "entry 2: rate: Extra inputs"),
        ({"rps": "10", "bad": 0.1}, "entry 2: rps: Input should be a valid number (given: '10')"),
        ({"rps": 10, "bad": 1.5}, "entry 2: bad: Input should be less than 1"),
        ({"rps": 10, "bad": 0.1, "pods": "10 of 10"}, "at least one on each side"),
        ({"rps": 10, "bad": 0.1, "nature": {"kind": "storm"}}, "entry 2: nature"),
        ({"rps": 10, "bad": 0.1, "nature": {"kind": "bursts", "seconds": 7}}, "a multiple of 5"),
        ({"rps": 10, "bad": 0.1, "onset": 3}, "an onset needs a ratio"),
        ({"rps": 10, "bad": 0.1, "ratio": 20}, "must stay below 1"),
        ({"kind": "latence", "rps": 10}, "entry 2"),
        (3, "entry 2"),
    ],
)
def test_what_is_not_known_is_an_error_with_its_place(tmp_path: Path, entry: Any, told: str) -> None:
    """Never the default."""
    with pytest.raises(BadUsage) as wrong:
        load(written(tmp_path / "cells.json", {"rps": 1, "bad": 0.1}, entry))
    assert told in str(wrong.value)
    assert "cells.json" in str(wrong.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": {}}', '{"cells": [], "seed": 1}'])
def test_another_shape_of_file_is_an_error(tmp_path: Path, text: str) -> None:
    """As is none."""
    path = tmp_path / "c"
    with pytest.raises(BadUsage, match="cannot be read"):
        load(path)
    path.write_text(text)
    with pytest.raises(BadUsage):
        load(path)


def test_what_the_default_judge_promises_is_marked(tmp_path: Path) -> None:
    """Bursts of up to a minute; not pods that differ for good."""
    natures = [
        {"kind": "bursts", "seconds": 60},
        {"kind": "bursts", "seconds": 120},
        {"kind": "bursts", "seconds": 60, "shape": 1},
        {"kind": "spread", "cv": 0.18},
        {"kind": "warm-up"},
        {"kind": "incident"},
    ]
    cells = load(written(tmp_path / "c", {"rps": 1, "bad": 0.1, "nature": natures}))
    assert [isinstance(cell, Errors) and cell.in_scope for cell in cells] == [True, False, False, False, False, True]
