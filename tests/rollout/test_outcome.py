"""The words in which a command tells how a rollout ended."""

from __future__ import annotations

import json

import pytest

from canary.cli.following import end
from canary.rollout.events import CheckObserved, RolloutEnded
from canary.rollout.folding import apply
from canary.rollout.state import State

ENDED = RolloutEnded(outcome="promoted", phase="full", reason="every phase has passed", verified=True)


def state(*outcomes: str) -> State:
    """A promoted rollout whose checks a, b, … were looked at with these outcomes, each twice."""
    one = State("r1", ended=ENDED)
    for name, outcome in 2 * list(zip("abc", outcomes, strict=False)):
        one = apply(CheckObserved.model_validate({"name": name, "outcome": outcome, "detail": ""}), one, 0.0)
    return one


def test_what_was_skipped_is_in_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    """Once each, for people and for programs."""
    looked = state("passed", "skipped", "skipped")
    assert (end(looked, as_json=True), end(looked, as_json=False)) == (0, 0)
    line, *words = capsys.readouterr().out.splitlines()
    assert json.loads(line)["skipped"] == ["b", "c"]
    assert words[-1] == "without these checks, which were skipped: b, c"


def test_nothing_is_said_of_checks_that_were_made(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list, and no sentence."""
    end(state("passed", "failed"), as_json=True)
    end(state("passed", "failed"), as_json=False)
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[0])["skipped"] == []
    assert "skipped:" not in out
