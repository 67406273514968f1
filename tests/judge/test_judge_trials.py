"""How the judge of a rollout folds the blocks of its phases into trials, held against folding them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest

from canary.judge.baseline_trial import BaselineTrial
from canary.judge.block import Block
from canary.judge.evidence import Evidence
from canary.judge.saying import verdict
from canary.judge.sequential import SequentialJudge, Trials
from canary.judge.terms import Settle, Terms
from canary.judge.trial import Moment
from canary.judge.verdict import Outcome
from canary.plan.model import Rule
from canary.plan.rules import criterion, trigger
from canary.ports import Increment

TERMS = Terms()
KEPT: Rule = criterion({"errors": "no worse than baseline by 100%"})
WORSE: Rule = trigger({"errors": "worse than baseline"})
LIMIT: Rule = trigger({"errors": "> 1%"})
BY_THE_END: Rule = trigger({"errors": "worse than baseline", "profile": "swift"})
"""Its profile plays for being sure by the deadline: what is left until then matters."""


def block(number: int, bad: float = 2.0, scrapes: int = 1) -> Block:
    """150 of the canary beside 1350 of the baseline, 15 of which are bad."""
    arms: Any = {"canary": Increment(150.0, bad), "baseline": Increment(1350.0, 15.0)}
    return Block((number + 1) * 15.0, {"errors": arms} if scrapes else {}, scrapes, 0.1)


def folded(rules: Sequence[Rule], blocks: Sequence[Block], terms: Terms = TERMS, horizon: int = 0) -> Trials:
    trials = Trials.start(rules, terms)
    for number, each in enumerate(blocks):
        trials = trials.add(each, Moment(terms.minute(each), max(horizon - number, 0)))
    return trials


def evidence(blocks: Sequence[Block]) -> Evidence:
    return reduce(Evidence.add, blocks, Evidence())


UP_AND_DOWN = [*(block(n, 9.0) for n in range(6)), *(block(n, 0.0) for n in range(6, 30))]


def test_trials_begin_with_their_share_of_what_is_risked_and_no_evidence() -> None:
    """A rule of weight 3 beside one of weight 1: three quarters and one quarter of α; nothing was shown yet."""
    heavy: Rule = trigger({"errors": "worse than baseline", "weight": 3})
    trials = Trials.start([heavy, KEPT], TERMS)
    assert trials.shares == (0.75, 0.25)
    assert (trials.most, trials.kept, trials.together) == ((0.0, 0.0), (0.0, 0.0), 0.0)
    assert Trials((), (), (), ()).together == 0.0
    needed = [each.needed for each in trials.running if isinstance(each, BaselineTrial)]
    assert needed == [pytest.approx(100 / 0.75), pytest.approx(400.0)]


def test_what_was_once_shown_is_kept_though_it_sinks_again() -> None:
    """Harm at first and none later: the most of each rule, of its being kept, and of their weighted sum."""
    trials, shown = Trials.start([WORSE, KEPT], TERMS), list[Trials]()
    for each in UP_AND_DOWN:
        trials = trials.add(each, Moment(TERMS.minute(each)))
        shown.append(trials)
    for rule in (0, 1):
        assert trials.most[rule] == max(each.running[rule].harm for each in shown) > trials.running[rule].harm
        assert trials.kept[rule] == max(each.running[rule].fine for each in shown)
    sums = [0.5 * each.running[0].harm + 0.5 * each.running[1].harm for each in shown]
    assert trials.together == pytest.approx(max(sums))
    assert trials.together > sums[-1]


def test_a_block_without_a_moment_is_no_evidence() -> None:
    """Within a warm-up, or not measured: nothing changes."""
    trials = folded([WORSE], UP_AND_DOWN[:3])
    assert trials.add(block(3, 150.0), None) is trials


@pytest.mark.parametrize("horizon", [0, 60, 90])
@pytest.mark.parametrize("rule", [KEPT, WORSE, LIMIT, BY_THE_END], ids=["kept", "worse", "limit", "by the end"])
def test_a_verdict_rests_on_the_blocks_folded_in_order(rule: Rule, horizon: int) -> None:
    """With the minute of each, and with how many are left until the deadline where that is known."""
    terms, blocks = Terms(horizon=horizon), [block(n, 4.0 if n % 3 else 1.0) for n in range(70)]
    trials = folded([rule], blocks, terms, horizon)
    said = SequentialJudge(terms).judge([], [rule], evidence(blocks), traffic="errors").verdicts[0]
    by_hand = verdict(
        rule, evidence(blocks), terms, trials.running[0], trials.shares[0], trials.most[0], trials.kept[0]
    )
    assert said == by_hand


def test_blocks_that_measured_nothing_or_warmed_up_are_left_out() -> None:
    """Their numbers count for the deadline all the same: the others keep their own minute and what is left."""
    terms = Terms(horizon=30, settle=Settle(45.0, 1.0))
    blocks = [block(n, 3.0, scrapes=int(n != 7)) for n in range(20)]
    trials = Trials.start([KEPT], terms)
    for number, each in enumerate(blocks):
        if number >= 3 and number != 7:
            trials = trials.add(each, Moment(terms.minute(each), 30 - number))
    said = SequentialJudge(terms).judge([KEPT], [], evidence(blocks), traffic="errors").verdicts[0]
    assert said.proof == trials.running[0].proof(terms.harm, terms.fine)


def test_triggers_and_criteria_are_judged_alike() -> None:
    """One verdict each, criteria first; a trigger alone fails the phase."""
    bad = evidence([block(n, 30.0) for n in range(20)])
    judged = SequentialJudge().judge([KEPT], [LIMIT], bad, traffic="errors")
    assert [each.rule for each in judged.verdicts[:2]] == [KEPT.text, LIMIT.text]
    alone = SequentialJudge().judge([], [LIMIT], bad, traffic="errors")
    assert (alone.outcome, alone.verdicts[0].rule) == (Outcome.FAIL, LIMIT.text)


def test_one_judge_answers_about_one_rollout_after_another() -> None:
    """What it remembers of the first is no evidence about the second, of any length, nor about other rules."""
    judge, asked = SequentialJudge(), list[tuple[Rule, Evidence]]()
    bad, good = [block(n, 20.0) for n in range(12)], [block(n, 0.0) for n in range(30)]
    for rule in (LIMIT, WORSE, KEPT):
        for blocks in (bad, good, bad, good[:5], good, bad[:3]):
            asked.append((rule, evidence(blocks)))
    for rule, found in asked:
        once = SequentialJudge().judge([rule], [], found, traffic="errors")
        assert judge.judge([rule], [], found, traffic="errors") == once
