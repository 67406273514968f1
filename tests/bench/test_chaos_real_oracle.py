"""The oracle of the real chaos: what it calls broken, and what it lets pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.chaos.real.facts import Answers, Facts, Struck, Weight, serving, weights
from bench.chaos.real.oracle import fail_to_zero, late_raises, recovered_after, told, violations
from bench.chaos.real.script import Kill
from canary.ports import Entry

YES: Mapping[str, Any] = {"targets": {"api": {"answer": "yes"}, "web": {"answer": "yes"}}}
UP = [Weight(10.0, "api", 0.5), Weight(10.1, "web", 0.5)]
DOWN = [Weight(20.5, "api", 0.0), Weight(20.6, "web", 0.0)]


def line(seq: int, at: float, type_: str, epoch: int = 1, **data: Any) -> Entry:
    return Entry("r1", seq, at, epoch, type_, data)


def facts(lines: Sequence[Entry], changes: Sequence[Weight], last: str, *struck: Struck, version: str = "2") -> Facts:
    """A rollout from second 0; everybody gets `last` when it is looked at, at second 100."""
    answers = tuple(Answers(95.0 + n, {f"api {last}": (40, 0), f"web {last}": (40, 0)}) for n in range(6))
    told_at = {each.seq: each.at for each in lines}
    return Facts("s1", "r1", version, "1", 0.0, 90.0, 100.0, lines, told_at, changes, answers, struck)


def back(*struck: Struck) -> Facts:
    """A bad candidate, found out at second 20."""
    lines = [
        line(1, 1.0, "conductor_took"),
        line(2, 20.0, "rollback_started", cause="fail"),
        line(3, 21.0, "exposure_observed", share=0.0, **YES),
        line(4, 30.0, "rollout_ended", outcome="rolled_back"),
    ]
    return facts(lines, [*UP, *DOWN], "1", *struck, version="2-bad")


def promoted() -> Facts:
    lines = [line(1, 1.0, "conductor_took"), line(2, 30.0, "rollout_ended", outcome="promoted")]
    return facts(lines, [*UP, Weight(29.0, "api", 1.0), Weight(29.1, "web", 1.0)], "2")


def broken(found: Facts) -> list[str]:
    return [each.promise for each in violations(found)]


def struck(signal: Any = "KILL", at: float = 15.0, seq: int = 1, boundary: str = "sampled") -> Struck:
    return Struck(Kill("flow", signal, boundary, "after"), at, seq, 1)


def test_all_new_and_all_old_are_both_well() -> None:
    """A promoted good candidate and a bad one that was brought back."""
    assert broken(promoted()) == broken(back()) == []


def test_a_rollout_that_does_not_end_is_broken() -> None:
    """I1: somebody conducted it, and no line ends it."""
    found = back()
    assert "I1" in broken(replace(found, lines=found.lines[:3]))


def test_a_rollout_that_nobody_conducted_is_all_old() -> None:
    """Killed before it took the lock: nothing was touched."""
    assert broken(facts([line(1, 1.0, "rollout_started", 0)], [], "1")) == []


@pytest.mark.parametrize("layer", ["api", "web"])
def test_half_a_promotion_is_broken(layer: str) -> None:
    """I1: one layer of Envoy that is at another share than the outcome says."""
    found = promoted()
    half = [weight for weight in found.weights if weight.layer != layer or weight.share < 1]
    assert broken(replace(found, weights=half)) == ["I1"]


def test_users_are_believed_before_weights() -> None:
    """I1: whatever Envoy says, somebody still gets the candidate after the way back."""
    found = back()
    stray = Answers(99.5, {"api 1": (40, 0), "web 2-bad": (1, 0)})
    assert broken(replace(found, answers=(*found.answers, stray))) == ["I1"]


def test_a_bad_candidate_that_is_promoted_is_broken() -> None:
    """I3, though everything else is as it should be."""
    found = promoted()
    answers = tuple(Answers(each.at, {"api 3-bad": (9, 3)}) for each in found.answers)
    assert broken(replace(found, version="3-bad", answers=answers)) == ["I3"]


def test_a_raise_after_the_stop_is_broken() -> None:
    """I2: sent by a process that nobody held up."""
    found = back()
    again = [*found.weights, Weight(25.0, "web", 0.5), Weight(26.0, "web", 0.0)]
    assert broken(replace(found, weights=again)) == ["I2"]
    assert late_raises(replace(found, weights=again)) == [25.0]


def test_a_late_raise_of_a_stopped_process_must_be_lowered() -> None:
    """I2: it was past its last look; what counts is that it is seen and reversed."""
    stood = replace(back(), struck=(struck("STOP", boundary="expose up"),))
    reversed_ = [*stood.weights, Weight(25.0, "web", 0.5), Weight(26.0, "web", 0.0)]
    left = [*stood.weights, Weight(25.0, "web", 0.5), Weight(50.0, "web", 0.0)]
    assert broken(replace(stood, weights=reversed_)) == []
    assert broken(replace(stood, weights=left)) == ["I2"]


def test_the_time_to_zero_is_that_of_the_last_layer() -> None:
    """From the FAIL's line until no layer has users of the candidate."""
    assert fail_to_zero(back()) == 0.6
    assert fail_to_zero(promoted()) is None


def test_a_kill_between_fail_and_zero_is_told() -> None:
    """Its figure is then the guard's."""
    assert told(back(struck(at=20.2)))["struck_on_the_way"] is True
    assert told(back(struck(at=15.0)))["struck_on_the_way"] is False


def test_users_on_a_failed_candidate_are_somebodys_business() -> None:
    """I1: a minute without exposure 0 and without a page."""
    late = replace(back(), weights=[*UP, Weight(85.0, "api", 0.0), Weight(85.0, "web", 0.0)])
    assert broken(late) == ["I1"]
    paged = [*late.lines, line(5, 50.0, "paged")]
    assert broken(replace(late, lines=paged)) == []


def test_a_journal_that_takes_no_lines_takes_the_users_off() -> None:
    """I6: before the lease runs out; at full exposure users stay, and a dead conductor lowers nobody."""
    silent = replace(back(), silent=[(11.0, 41.0)], weights=[*UP, Weight(45.0, "api", 0.0), Weight(45.0, "web", 0.0)])
    assert broken(silent) == ["I6"]
    assert broken(replace(silent, weights=[*UP, *DOWN])) == []
    assert broken(replace(silent, silent=[(11.0, 20.0)])) == []
    assert broken(replace(silent, struck=(struck(at=12.0),))) == []
    assert broken(replace(promoted(), silent=[(50.0, 80.0)])) == []


def test_a_killed_conductor_has_recovered_when_a_later_epoch_has_observed() -> None:
    """Its own lines, and a takeover that has seen nothing yet, do not count."""
    lines = [
        line(1, 1.0, "conductor_took"),
        line(2, 16.0, "sampled"),
        line(3, 40.0, "conductor_took", 2),
        line(4, 41.5, "sampled", 2),
        line(5, 60.0, "rollout_ended", 2, outcome="promoted"),
    ]
    found = facts(lines, promoted().weights, "2")
    assert recovered_after(found, struck(seq=1)) == 26.5
    assert recovered_after(found, struck("STOP", seq=1)) == 1.0
    assert recovered_after(found, struck(at=61.0, seq=5)) is None


def test_a_rollout_that_never_recovers_counts_until_it_was_given_up() -> None:
    """So that the percentiles do not forget it."""
    found = facts([line(1, 1.0, "conductor_took")], [], "1")
    assert recovered_after(found, struck()) == 75.0


def test_what_is_told_can_be_stored() -> None:
    """Every kill with its time since the rollout began, and what was broken."""
    line_ = told(back(struck()))
    assert line_["outcome"] == "rolled_back"
    assert line_["bad"] is True
    assert [kill["at"] for kill in line_["kills"]] == [15.0]
    assert line_["violations"] == []


LOG = [
    {"at": 1.0, "kind": "deployed", "service": "s1", "colour": "green", "version": "2"},
    {"at": 2.0, "kind": "weights", "service": "s1", "layer": "api", "units": {"blue": 5000, "green": 5000}},
    {"at": 2.5, "kind": "weights", "service": "s2", "layer": "api", "units": {"blue": 0, "green": 10000}},
    {"at": 3.0, "kind": "weights", "service": "s1", "layer": "api", "units": {"blue": 0, "green": 10000}},
]


def test_shares_are_those_of_the_colour_that_got_the_candidate() -> None:
    """Before its deployment nothing is its own, and other services are others'."""
    assert [each.share for each in weights(LOG, "s1", "2")] == [0.5, 1.0]
    assert list(weights(LOG, "s1", "3")) == []


def test_the_stable_version_is_what_serves_everybody() -> None:
    """The first one until a promotion."""
    assert serving(LOG, "s1") == "2"
    assert serving(LOG[:1], "s1") == "1.0.0"
