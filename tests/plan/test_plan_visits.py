"""Checks in a browser as a plan declares them, and what is said of a wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from canary.errors import PlanError
from canary.plan.load import load_plan, parse_plan
from canary.plan.model import UiCheck
from canary.plan.schema import plan_schema
from canary.plan.visits import Choose, Click, Fill, See, Tick
from canary.plan.words import phase_in_words

Write = Callable[[dict[str, Any]], Path]
UI: dict[str, Any] = {
    "name": "filter works",
    "open": "/queue?all=1",
    "do": [{"click": "#open"}, {"check": "#on"}, {"choose": "invoice", "in": "#kind"}, {"fill": "Ann", "in": "#name"}],
    "expect": [{"see": "#documents li", "count": 4}, {"see": "#status", "text": "4 documents"}],
    "bearer": "token/admin",
    "target": "api",
}


def ui(**changes: Any) -> dict[str, Any]:
    """An edit that adds the check, changed."""
    return {"phases.0.checks.2": {**UI, **changes}}


def test_a_visit_is_read_as_it_is_written(plan_file: Write) -> None:
    """Steps in their order, each of its kind; its token is a block of the plan; words say that it needs a browser."""
    plan = load_plan(plan_file(ui())).plan
    check = plan.checks[-1]
    assert isinstance(check, UiCheck)
    assert [type(step) for step in check.do] == [Click, Tick, Choose, Fill]
    assert [step.words for step in check.do] == [
        "click #open",
        "check #on",
        "choose 'invoice' in #kind",
        "fill 'Ann' in #name",
    ]
    assert [see.words for see in check.expect] == ["see 4 × #documents li", "see #status with the text '4 documents'"]
    assert "token/admin" in plan.block_refs()
    assert "looks at home, numbers, filter works (in a browser)" in phase_in_words(plan.phases[0])


def test_a_check_that_is_skipped_needs_no_token(plan_file: Write) -> None:
    """What the plan goes without is not asked for at preflight."""
    plan = load_plan(plan_file({**ui(), "without": ["filter works"]})).plan
    assert "token/admin" not in plan.block_refs()
    assert [check.name for check in plan.checks] == ["home", "numbers"]


def test_only_what_is_expected_is_needed(plan_file: Write) -> None:
    """A page, and something to see on it."""
    check = load_plan(
        plan_file({"phases.0.checks.2": {"name": "x", "open": "/", "expect": [{"see": "h1"}]}})
    ).plan.checks[-1]
    assert isinstance(check, UiCheck)
    assert (check.do, check.expect, check.bearer, check.target) == ((), (See(see="h1"),), None, None)


AT = "phases[0].checks[2]"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"opn": "/"}, f"{AT}.opn: unknown key; valid values: "),
        ({"open": "queue"}, f"{AT}.open: must be a path on the candidate"),
        ({"expect": []}, f"{AT}.expect: tuple should have at least 1 item"),
        ({"expect": 200}, f"{AT}.expect: must be a list"),
        ({"do": [{"press": "#x"}]}, f"{AT}.do[0]: a step has one of click, check, choose (with in) and fill (with in)"),
        (
            {"do": [{"clik": "#x"}]},
            f"{AT}.do[0].clik: unknown key; valid values: click, check, choose, in, fill; did you mean 'click'?",
        ),
        ({"do": [{"click": "#x", "in": "#y"}]}, f"{AT}.do[0].in: unknown key"),
        ({"do": [{"choose": "invoice"}]}, f"{AT}.do[0]: the required key 'in' is missing"),
        ({"do": [{"click": " "}]}, f"{AT}.do[0].click: must be a CSS selector on one line, such as #ai-filter"),
        ({"do": [{"click": 5}]}, f"{AT}.do[0].click: must be a text"),
        ({"expect": [{"see": "li", "count": -1}]}, f"{AT}.expect[0].count: input should be greater than or equal to 0"),
        ({"expect": [{"see": "li", "count": 4, "text": "x"}]}, f"{AT}.expect[0]: text is asked of one element"),
        ({"bearer": "slack/x"}, f"{AT}.bearer: kind slack is a notifier block, not a token block"),
        (
            {"target": "apy"},
            f"{AT}.target: 'apy' is no target that serves pages; valid values: api; did you mean 'api'?",
        ),
        ({"target": "flags"}, f"{AT}.target: 'flags' is no target that serves pages; valid values: api"),
    ],
)
def test_a_wrong_visit_is_told_with_its_place(plan_file: Write, changes: dict[str, Any], said: str) -> None:
    """File, line, column, what is wrong, what would be right."""
    file = plan_file(ui(**changes))
    with pytest.raises(PlanError) as error:
        load_plan(file)
    told = dict(reversed(problem.split(": ", 1)) for problem in error.value.problems)
    (what,) = [what for what in told if what.startswith(said)]
    assert told[what].startswith(f"{file}:")
    assert len(told) <= 2


@pytest.mark.parametrize("changes", [{"do": [{"press": "#x"}]}, {"expect": []}, {"do": [{"choose": "x"}]}])
def test_an_editor_knows_visits_too(plan_body: Callable[[dict[str, Any]], str], changes: dict[str, Any]) -> None:
    """The JSON Schema holds the steps' shapes."""
    validator = Draft202012Validator(plan_schema())
    assert validator.is_valid(json.loads(plan_body(ui())))
    assert not validator.is_valid(json.loads(plan_body(ui(**changes))))


def test_a_stored_visit_is_the_same_visit(plan_file: Write) -> None:
    """Resuming reads the journaled body."""
    loaded = load_plan(plan_file(ui()))
    assert parse_plan(loaded.body) == loaded.plan
