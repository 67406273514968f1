"""docs/providers.md: its plan and blocks can be used as they stand, and its figures are those that were measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.blocks.registry import open_block
from canary.plan.load import load_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text("utf-8")
FOUND = json.loads((ROOT / "bench" / "results" / "providers.json").read_text("utf-8"))
BLOCKS, PLAN = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
NAMES = {"api": "Fly", "web": "Vercel", "flags": "Global Config", "metrics": "Grafana"}
KINDS = {
    "fly": "Fly",
    "vercel": "Vercel",
    "build": "a flag built away",
    "config": "Global Config",
    "grafana": "Grafana",
}


def back(row: Mapping[str, Any]) -> str:
    """One line of the table of rollbacks."""
    alone = " | ".join(f"{row['alone'][name]:.1f} s" for name in ("api", "web", "flags"))
    took = f"{row['together']:.1f} s | {row['together_most']:.1f} s | {alone}"
    ratio = f"{row['ratio']:.3f} | {row['ratio_most']:.3f} | {row['requests']} | {row['refused']}"
    return f"| {row['start_to_health']:.0f} s | {row['share']:.0%} | {took} | {ratio} |"


def once(row: Mapping[str, Any]) -> str:
    """One line of the table of effects."""
    counted = " | ".join(f"{row[key]:,}" for key in ("calls", "lost", "operations", "effects", "most", "without"))
    return f"| {KINDS[row['what']]} | {counted} |"


def spent(row: Mapping[str, Any]) -> str:
    """One line of the table of requests."""
    allowed = f"{row['allowed']:,.0f}" if row["allowed"] else "none known"
    return (
        f"| `{row['pace']}` | {NAMES[row['target']]} | {row['action']} | {row['requests']:,} | {allowed} "
        f"| {row['refused']:,} |"
    )


ROWS = [
    *map(back, FOUND["rollback"]),
    *map(once, FOUND["once"]),
    *map(spent, FOUND["spending"]),
]


@pytest.mark.parametrize("row", ROWS)
def test_a_figure_is_the_measured_one(row: str) -> None:
    """Each row of the results stands in the page, to the last digit."""
    assert row in PAGE.splitlines()


def test_no_figure_is_made_up() -> None:
    """There are no other rows with numbers below what was measured."""
    measured = PAGE.partition("## What was measured")[2].partition("## What was proven")[0]
    rows = [line for line in measured.splitlines() if line.startswith("| ") and re.search(r"\d", line)]
    assert [row for row in rows if not row.startswith(("| start", "| pace", "| all"))] == ROWS
    calls = sum(each["calls"] for each in FOUND["once"])
    lost = sum(each["lost"] for each in FOUND["once"])
    assert f"| all | {calls:,} | {lost:,} |" in measured


def test_the_page_says_what_is_reached() -> None:
    """Whether each aim was met is what the results say."""
    assert all(each["kept"] for each in FOUND["rollback"])
    assert {each["most"] for each in FOUND["once"]} == {1}
    soaks = [each for each in FOUND["spending"] if each["pace"] == "soak" and each["allowed"]]
    assert all(each["requests"] < each["allowed"] for each in soaks)


def test_the_plan_can_be_used(tmp_path: Path) -> None:
    """As a file, without a problem; and every block that it names is in the page."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    assert set(load_plan(file).plan.block_refs()) == set(YAML(typ="safe").load(BLOCKS))


def test_the_blocks_can_be_made() -> None:
    """Each from the page's fields, with values where it says ${…}."""
    given = re.sub(r"\$\{\w*URL\}", "https://grafana.example.com", BLOCKS)
    for ref, fields in YAML(typ="safe").load(re.sub(r"\$\{\w+\}", "a-t0ken", given)).items():
        assert open_block(ref, fields).ref == ref
