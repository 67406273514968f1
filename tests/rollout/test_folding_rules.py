"""What holds for folds of several lines, and for single ones that depend on more than a table shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canary.errors import JournalError
from canary.ports import Entry
from canary.rollout import events as e
from canary.rollout.folding import apply, fold
from canary.rollout.halts import FeatureOff
from canary.rollout.state import State

AT = 1000.0
YES = e.Shown(answer="yes", observed=0.1, detail="")
OLGA = {"by": "Olga", "how": "a test", "reason": "because"}
NEVER = State("r1")
CANARY = State("r1", seq=7, phase="canary", asked=0.1, raise_open=True, soak_since=900.0, canary_seconds=5.0)


@pytest.mark.parametrize(("share", "tries", "open_"), [(0.1, 0, True), (0.1, 1, False), (0.1, 2, True), (0.0, 1, True)])
def test_only_a_raise_seen_at_its_first_try_is_over(share: float, tries: int, open_: bool) -> None:
    """An earlier try of it may still land, and so may any when an observed 0 says nothing about it, or nothing was
    asked for in between."""
    found = apply(e.ExposureObserved(share=share, targets={"web": YES}), replace(CANARY, tries=tries), AT)
    assert (found.raise_open, found.tries) == (open_, 0)
    never = apply(
        e.ExposureObserved(share=share, targets={"web": YES}), replace(CANARY, tries=tries, raise_open=False), AT
    )
    assert not never.raise_open


@pytest.mark.parametrize(("answer", "seen_at"), [(YES, AT), (e.Shown(answer="no", observed=0.1, detail=""), None)])
def test_a_feature_is_off_when_every_target_shows_it(answer: e.Shown, seen_at: float | None) -> None:
    """From the first look that shows it; later ones move nothing."""
    off = FeatureOff("queue", "QUEUE", "flags", "bad", "", 0.0, 900.0)
    found = apply(e.ExposureObserved(share=0.1, targets={"web": answer}), replace(CANARY, feature_off=off), AT)
    assert found.feature_off == replace(off, seen_at=seen_at)
    assert apply(e.ExposureObserved(share=0.1, targets={"web": YES}), found, 2000.0).feature_off == replace(
        off, seen_at=seen_at or 2000.0
    )


@pytest.mark.parametrize(
    ("soaking", "asked", "seconds"),
    [("canary", 0.1, 105.0), ("canary", 0.0, 5.0), ("canary", 1.0, 5.0), ("staging", 0.1, 5.0)],
)
def test_time_in_the_canary_is_a_soak_with_some_of_the_users(soaking: str, asked: float, seconds: float) -> None:
    """Neither staging nor full exposure counts, nor a phase that was passed without its soak."""
    state = replace(CANARY, soaking=soaking, asked=asked)
    assert apply(e.PhasePassed(phase="canary", reason=""), state, AT).canary_seconds == seconds


@pytest.mark.parametrize(
    "event", [e.RollbackVerified(targets={}), e.RollbackUnverified(targets={}, waited_seconds=1.0)]
)
def test_a_rollback_whose_start_was_lost_is_told_all_the_same(event: e.Event) -> None:
    """Its first line waits in the spool of a machine that is gone."""
    rollback = apply(event, NEVER, AT).rollback
    assert rollback is not None
    assert (rollback.cause, rollback.started_at) == ("conductor", AT)
    assert "not journaled" in rollback.reason


def test_a_skipped_check_is_kept_once_and_in_order() -> None:
    """However often it is looked at."""
    state = NEVER
    for name in ("b", "a", "b"):
        state = apply(e.CheckObserved(name=name, outcome="skipped", detail=""), state, AT)
    assert state.skipped == ("b", "a")


def line(seq: int, event: e.Event, **other: Any) -> Entry:
    new = event.entry(AT)
    return replace(Entry("r1", seq, new.at, 0, new.type, new.data), **other)


def test_lines_that_were_folded_are_passed_over() -> None:
    """At or before the state's number; the number is the last line's."""
    lines = [line(seq, e.ExtendAsked(seconds=float(seq), **OLGA)) for seq in (6, 7, 8)]
    assert fold(CANARY, lines[:2]) == CANARY
    found = fold(CANARY, lines)
    assert (found.seq, found.extend_asked) == (8, 8.0)
    twice = [line(1, e.ConductorTook(holder="h", epoch=1, lease_seconds=20.0)), *lines]
    assert fold(fold(NEVER, twice), twice) == fold(NEVER, twice)


@pytest.mark.parametrize(
    "entry",
    [
        line(1, e.PhaseStarted(phase="canary"), type="from_the_future"),
        line(1, e.PhaseStarted(phase="canary"), data={}),
        line(1, e.Sampled(block={"at": 15.0})),
        line(1, e.Judged(phase="canary", verdict={"outcome": "GREAT"})),
    ],
)
def test_a_line_that_is_not_understood_stops_the_fold(entry: Entry) -> None:
    """Named by its number and type: going on without it could mean going on without an abort."""
    with pytest.raises(JournalError, match=f"line 1 of r1 \\({entry.type}\\) is not understood"):
        fold(NEVER, [entry])
