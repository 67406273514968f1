"""The words in which a command tells how a rollout ended."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from canary.cli.following import end
from canary.rollout.events import CheckObserved, RolloutEnded
from canary.rollout.folding import apply
from canary.rollout.halts import FeatureOff, Hold, Rollback
from canary.rollout.state import State

ENDED = RolloutEnded(outcome="promoted", phase="full", reason="every phase has passed", verified=True)

OFF = FeatureOff("queue", "QUEUE", "flags", "bad", "errors on queue", 0.1, 1.0, 2.0, recovered=True)


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


def test_a_release_without_a_feature_has_an_exit_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """6, whether everybody has it or it is held; rolled back, it is 3 as ever."""
    without = State("r1", features_off=("queue",), feature_off=OFF)
    held = replace(without, hold=Hold(1.0, 2.0, "queue was switched off"))
    assert end(replace(without, ended=ENDED), as_json=True) == 6
    assert end(held, as_json=True) == 6
    back = RolloutEnded(outcome="rolled_back", phase="canary", reason="nobody decided", verified=True)
    assert end(replace(held, ended=back), as_json=True) == 3
    promoted, waiting, gone = map(json.loads, capsys.readouterr().out.splitlines())
    assert (promoted["outcome"], promoted["features_off"]) == ("promoted", ["queue"])
    assert (waiting["outcome"], waiting["verified"]) == ("feature_rolled_back", True)
    assert gone["outcome"] == "rolled_back"
    end(held, as_json=False)
    assert "without these features, which were switched off: queue" in capsys.readouterr().out


def test_a_feature_that_has_not_recovered_is_no_outcome() -> None:
    """It is held for another reason, or on its way back."""
    held = State("r1", features_off=("queue",), feature_off=OFF, hold=Hold(1.0, 2.0, "asked"))
    assert not replace(held, feature_off=replace(OFF, recovered=False)).without_a_feature
    assert not replace(held, rollback=Rollback("fail", "bad", 1.0)).without_a_feature
    assert not replace(held, hold=None).without_a_feature
    assert held.without_a_feature
