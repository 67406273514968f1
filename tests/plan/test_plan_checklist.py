"""The checklist as a plan declares it, and what is said of a wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from canary.errors import PlanError
from canary.plan.checklist import CommandEvidence, FileEvidence, UrlEvidence, WordEvidence, kind_of_evidence
from canary.plan.load import load_plan, parse_plan
from canary.plan.schema import plan_schema

Write = Callable[[dict[str, Any]], Path]
EVERY: list[dict[str, Any]] = [
    {"item": "tests documented", "evidence": {"file": "docs/tests.md"}},
    {"item": "fixtures valid", "evidence": {"command": ["python3", "-m", "json.tool", "a.json"], "within": "30s"}},
    {"item": "notes published", "evidence": {"url": "https://docs.example/notes?v=2"}},
    {"item": "all done", "evidence": {"word_of": "owner", "says": "it is"}},
]


def test_each_kind_of_evidence_is_read_as_it_is_written(plan_file: Write) -> None:
    """In the plan's order; a stored plan has the same checklist."""
    loaded = load_plan(plan_file({"checklist": EVERY}))
    found = [each.evidence for each in loaded.plan.checklist]
    assert [type(each) for each in found] == [FileEvidence, CommandEvidence, UrlEvidence, WordEvidence]
    assert [kind_of_evidence(each) for each in found] == ["file", "command", "url", "word_of"]
    assert isinstance(found[1], CommandEvidence)
    assert found[1].within == 30.0
    assert parse_plan(loaded.body) == loaded.plan


def test_a_command_has_a_minute_if_nothing_is_said(plan_file: Write) -> None:
    """Real seconds, whatever the time scale."""
    edits = {"checklist": [{"item": "x", "evidence": {"command": ["true"]}}], "time_scale": 60}
    evidence = load_plan(plan_file(edits)).plan.checklist[0].evidence
    assert isinstance(evidence, CommandEvidence)
    assert evidence.within == 60.0


def test_the_runbooks_five_items_are_in_its_plan(plans: Path) -> None:
    """Each with evidence; the files and the command's file are shipped with it."""
    checklist = load_plan(plans / "phase1.yaml").plan.checklist
    assert [each.item for each in checklist] == [
        "Phase 1 implementation complete",
        "PR description prepared with technical details",
        "Mock data and fixtures validated",
        "Release notes updated with Phase 1 features",
        "Integration tests documented",
    ]
    files = [each.evidence.file for each in checklist if isinstance(each.evidence, FileEvidence)]
    assert all((plans / "evidence" / file).is_file() for file in files)
    assert len(files) == 3


AT = "checklist[0]"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"item": "x"}, f"{AT}: the required key 'evidence' is missing"),
        (
            {"item": "x", "evidence": {}},
            f"{AT}.evidence: evidence is one of file (a path), command (a list), url, and word_of",
        ),
        ({"item": "x", "evidence": {"file": "a", "url": "https://a.example"}}, f"{AT}.evidence.url: unknown key"),
        ({"item": "x", "evidence": {"file": "/etc/passwd"}}, f"{AT}.evidence.file: must be a relative path, such as"),
        (
            {"item": "x", "evidence": {"file": "docs/../../secret"}},
            f"{AT}.evidence.file: 'docs/../../secret' leads out of the folder",
        ),
        ({"item": "x", "evidence": {"command": "make test"}}, f"{AT}.evidence.command: must be a list"),
        ({"item": "x", "evidence": {"command": []}}, f"{AT}.evidence.command: tuple should have at least 1 item"),
        ({"item": "x", "evidence": {"command": ["a"], "within": "0s"}}, f"{AT}.evidence.within: '0s': a duration of 0"),
        (
            {"item": "x", "evidence": {"command": ["a"], "withn": "9s"}},
            f"{AT}.evidence.withn: unknown key; valid values: ",
        ),
        (
            {"item": "x", "evidence": {"url": "https://user:pw@a.example/"}},
            f"{AT}.evidence.url: must be an http:// or https://",
        ),
        ({"item": "x", "evidence": {"word_of": "owner"}}, f"{AT}.evidence: the required key 'says' is missing"),
        (
            {"item": "x", "evidence": {"word_of": "ower", "says": "y"}},
            f"{AT}.evidence.word_of: unknown role 'ower'; valid values: owner; did you mean 'owner'?",
        ),
        (EVERY[0], "checklist[1].item: 'tests documented' stands twice in the checklist"),
    ],
)
def test_a_wrong_item_is_told_with_its_place(plan_file: Write, item: dict[str, Any], said: str) -> None:
    """File, line, column, what is wrong, what would be right."""
    file = plan_file({"checklist": [item, EVERY[0]]})
    with pytest.raises(PlanError) as error:
        load_plan(file)
    (problem,) = error.value.problems
    where, what = problem.split(": ", 1)
    assert what.startswith(said)
    assert where.startswith(f"{file}:")


@pytest.mark.parametrize("evidence", [{}, {"file": "/x"}, {"command": []}, {"word_of": "owner"}])
def test_an_editor_knows_the_checklist_too(
    plan_body: Callable[[dict[str, Any]], str], evidence: dict[str, Any]
) -> None:
    """The JSON Schema holds its shapes."""
    validator = Draft202012Validator(plan_schema())
    assert validator.is_valid(json.loads(plan_body({"checklist": EVERY})))
    assert not validator.is_valid(json.loads(plan_body({"checklist": [{"item": "x", "evidence": evidence}]})))
