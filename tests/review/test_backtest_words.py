"""A backtest in sentences: what a person must do next stands in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from canary.judge.backtest.chance import Rate
from canary.judge.backtest.found import Detected, LeftOut, Margin, PhaseFound, RuleFound
from canary.judge.backtest.history import History, Noted
from canary.review.backtest import Backtest, history_in_words, lines, phase_in_words
from canary.review.backtest_page import html

CLEAN, BAD = Rate.seen(0, 720), Rate.seen(40, 720)
RULE = RuleFound("worse than baseline", "errors", False, 0.0, BAD, "", (
    Detected(2.0, 0.0, Rate.seen(10, 20), 90.0, 3.25), Detected(2.0, 600.0, Rate.seen(0, 20), None, 40.0),
))  # fmt: skip
PHASE = PhaseFound(
    phase="canary",
    alpha=0.01,
    seconds=1800.0,
    left_out=LeftOut(17_520, 17_400, 100, 20, 340),
    falsely=BAD,
    rules=(RULE,),
    months={"2026-01": BAD},
    pods={"shop-<1>": BAD},
    margin=Margin(0.35, CLEAN, ('{errors: "worse than baseline", margin: 35%}',)),
    sampled=20,
)


def test_what_was_left_out_is_said_with_its_reasons() -> None:
    """How many windows, and why; and pods that came and went."""
    first = next(iter(phase_in_words(PHASE)))
    assert first == (
        "of 17,520 windows of 30m, 120 were left out (100 with missing scrapes, 20 with fewer than two pods); "
        "340 times a pod came or went within one, and was no canary there"
    )


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (PHASE, 'smallest margin: 35%, with it 0 of 720 (0 %, with 99 % between 0 % and 0.733 %): {errors: "worse'),
        (replace(PHASE, margin=Margin(None, BAD)), "no margin up to 100% is enough: even then 40 of 720"),
        (replace(PHASE, margin=Margin(0.0, CLEAN)), "smallest margin: none is needed; without any 0 of 720"),
        (PHASE, "α is 1 %: does not pass"),
        (replace(PHASE, falsely=Rate.seen(0, 100)), "does not pass yet: too few windows to be sure"),
        (replace(PHASE, rules=(replace(RULE, falsely=None, why="no"),)), "since errors could not be tested"),
    ],
)
def test_what_it_means_for_the_plan_is_said(phase: PhaseFound, said: str) -> None:
    """What to write, or why nothing that one could write would help."""
    assert said in " / ".join(phase_in_words(phase))


def test_what_is_odd_in_the_samples_is_said() -> None:
    """One of a kind, several of another, and nothing of what was not."""
    history = History(1_772_323_200.0, ("a",), np.ones((1, 4), bool), {}, Noted(9, 1, 0, 2, 3))
    assert history_in_words(history)[1] == "2 counter restarts, 3 silences of over 5 min, 1 row that could not be read"
    assert len(history_in_words(replace(history, noted=Noted(9)))) == 1


def test_terminal_and_page_say_the_same() -> None:
    """The page escapes every name, and shows every onset."""
    found = Backtest("spring", "shop", "a" * 64, ("one pod",), (PHASE,), 1, 1_772_323_200.0)
    assert lines(found)[0] == "spring of service shop: DOES NOT PASS"
    assert "      ×2 from the start: 50 % seen, median 1m30s, 3.2 bad requests served" in lines(found)
    page = html(found)
    assert "shop-&lt;1&gt;" in page
    assert "shop-<1>" not in page
    assert "after 10m" in page
    assert page.count("<svg") == 3
