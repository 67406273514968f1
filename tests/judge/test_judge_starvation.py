"""The starvation guard: hung, starved, quiet, and merely not measured."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.evidence import Block, Evidence
from canary.judge.starvation import starvation
from canary.judge.verdict import Outcome, Verdict
from canary.ports import Arm, Increment

PASS, UNDECIDED, NO_DATA, FAIL = Outcome.PASS, Outcome.UNDECIDED, Outcome.NO_DATA, Outcome.FAIL
ROOT = Path(__file__).parents[2]


def block(
    at: int,
    done: float | None,
    sent: float | None = None,
    baseline: float | None = None,
    share: float | None = 0.1,
    scrapes: int = 1,
) -> Block:
    """What the canary completed (None: it is absent), what it was sent, what the baseline completed."""
    counted: dict[Arm, float | None] = {"canary": done, "baseline": baseline}
    arms: dict[Arm, Increment] = {arm: Increment(n) for arm, n in counted.items() if n is not None}
    return Block(15.0 * at, {"http": arms}, scrapes, share, None if sent is None else {"canary": sent})


def judged(*blocks: Block) -> Verdict:
    return starvation(reduce(Evidence.add, blocks, Evidence()), "http")


def sent(*pairs: tuple[float, float | None]) -> Verdict:
    """The verdict after blocks of (sent, completed)."""
    return judged(*[block(at, done, sent) for at, (sent, done) in enumerate(pairs)])


def weighed(times: int, done: float, baseline: float, share: float | None = 0.1) -> Verdict:
    """The verdict after equal blocks, without counts of what was sent."""
    return judged(*[block(at, done, None, baseline, share) for at in range(times)])


def test_a_hung_canary_fails_after_three_blocks_and_thirty_requests() -> None:
    """30 sent and not one completed; the newest block's may be in flight and do not count."""
    assert sent((15, 0), (15, 0)).outcome is NO_DATA
    assert sent((15, 0), (14, 0), (500, 0)).outcome is NO_DATA
    assert sent((15, 0), (15, 0), (0, 0)).outcome is FAIL
    assert sent((1000, 0), (1000, 0)).outcome is NO_DATA


@pytest.mark.parametrize("done", [None, 0.0])
def test_a_canary_that_is_not_even_in_the_metrics_fails_as_well(done: float | None) -> None:
    """A crashed pod takes its counters with it."""
    assert sent(*[(20, done)] * 6).outcome is FAIL


def test_a_measure_that_never_appeared_is_silence_too() -> None:
    """Neither arm matches, and the target says that it sends requests."""
    blocks = [Block(15.0 * k, {}, 1, 0.1, {"canary": 20.0}) for k in range(6)]
    assert judged(*blocks).outcome is FAIL
    assert judged(*blocks[:5]).outcome is NO_DATA


def test_less_than_half_of_a_hundred_fails() -> None:
    """Two thirds of the canary's requests never come back."""
    assert sent((50, 24), (50, 25), (50, 0)).outcome is FAIL
    assert sent((50, 25), (50, 25), (50, 0)).outcome is PASS
    assert sent((50, 10), (49, 10), (50, 10)).outcome is UNDECIDED


def test_a_canary_that_hangs_late_fails() -> None:
    """After 20 good minutes of 30 it has completed more than half, and nothing since."""
    verdict = sent(*[(30, 30.0)] * 80, *[(30, 0.0)] * 4)
    assert verdict.outcome is FAIL
    assert verdict.reason.startswith("http: the canary fell silent, 90 requests were due since")


def test_a_canary_whose_users_left_is_not_silent() -> None:
    """Nothing is sent to it, so nothing is due; what it completed last does not count against it."""
    assert sent((300, 300), (0, 0), (0, 0), (0, 0), (0, 0)).outcome is PASS


def scraped(length: int, every: int, canary: int, baseline: int, counted: bool) -> Verdict:
    """The worst verdict of a healthy canary at 20 requests a block, each arm scraped once in `every` blocks."""
    verdict, evidence, sampled = judged(), Evidence(), dict.fromkeys(("canary", "baseline"), 0)
    for at in range(length):
        arms: dict[Arm, Increment] = {}
        for arm, first, rate in (("canary", canary, 20), ("baseline", baseline, 180)):
            if at % every == first % every:
                arms[arm] = Increment(float(rate * (at - sampled[arm])))  # type: ignore[index]
                sampled[arm] = at
        routed: dict[Arm, float] | None = {"canary": 20.0} if counted else None
        evidence = evidence.add(Block(15.0 * at, {"http": arms}, 1, 0.1, routed))
        verdict = max(verdict, starvation(evidence, "http"), key=lambda v: v.outcome is FAIL)
    return verdict if verdict.outcome is FAIL else starvation(evidence, "http")


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_arms_that_are_scraped_in_turn_starve_nobody(every: int, canary: int, baseline: int, counted: bool) -> None:
    """Once a minute and more seldom is usual: what is not scraped yet is not missing."""
    assert scraped(1000, every, canary, baseline, counted).outcome is PASS


def test_a_canary_that_is_scraped_no_more_is_silent_in_the_end() -> None:
    """Six blocks after its last sample, all that was sent since is due."""
    good = [block(at, 30, 30) for at in range(20)]
    assert judged(*good, *[block(at, None, 30) for at in range(20, 25)]).outcome is PASS
    assert judged(*good, *[block(at, None, 30) for at in range(20, 26)]).outcome is FAIL


def test_broken_telemetry_starves_nobody() -> None:
    """Requests go on while the metrics cannot be read: neither good nor bad."""
    good = [block(at, 30, 30) for at in range(4)]
    blind = [block(at, None, 30, scrapes=0) for at in range(4, 40)]
    assert judged(*good, *blind).outcome is PASS
    assert judged(*good, *blind, block(40, 37 * 30, 30)).outcome is PASS
    assert judged(*blind).outcome is NO_DATA


def test_nothing_was_ever_completed_is_no_data() -> None:
    """No evidence at all, and too little sent to fail."""
    assert judged().outcome is NO_DATA
    assert sent((3, 0), (3, 0), (3, 0)).outcome is NO_DATA


def test_the_first_counts_of_what_was_sent_may_be_missing() -> None:
    """A difference needs two readings; half of the blocks suffice, fewer leave the weight to judge."""
    first = [block(0, 0, None, 180), block(1, 0, None, 180), block(2, 0, 40, 180)]
    assert judged(*first, block(3, 0, 40, 180)).outcome is FAIL
    assert judged(*first, *[block(at, 0, None, 180) for at in range(3, 9)]).outcome is NO_DATA


def test_the_weight_alone_fails_only_at_its_own_floors() -> None:
    """Silence at 1,500 expected, a shortfall at 10,000: below, a few sticky users look the same."""
    assert weighed(14, 0, 900).outcome is NO_DATA
    assert weighed(15, 0, 900).outcome is FAIL
    assert weighed(99, 49, 900).outcome is UNDECIDED
    assert weighed(100, 49, 900).outcome is FAIL
    assert weighed(100, 50, 900).outcome is PASS


def test_from_the_weight_a_canary_that_fell_silent_does_not_pass() -> None:
    """Too little for a FAIL, too much for a PASS: a hung canary is never promoted."""
    good = [block(at, 3, None, 27) for at in range(80)]
    assert judged(*good, *[block(80 + at, 0, None, 27) for at in range(9)]).outcome is PASS
    assert judged(*good, *[block(80 + at, 0, None, 27) for at in range(10)]).outcome is UNDECIDED


@pytest.mark.parametrize("share", [None, 0.0, 1.0])
def test_where_nothing_can_be_expected_the_canary_must_complete_something(share: float | None) -> None:
    """No share seen, or everybody on one side."""
    assert weighed(5, 0, 900, share).outcome is NO_DATA
    assert weighed(5, 1, 900, share).outcome is PASS
    assert "nothing tells how many it should have" in weighed(5, 1, 900, share).reason


def test_blocks_without_a_share_count_on_neither_side() -> None:
    """Completions in blocks that let expect nothing must not hide a shortfall in the others."""
    unseen = [block(at, 5000, None, 900, share=None) for at in range(3)]
    weighed_ = [block(at, 40, None, 900) for at in range(3, 103)]
    assert judged(*unseen, *weighed_).outcome is FAIL


def test_reasons_say_what_was_expected_and_by_what() -> None:
    """Both sources."""
    assert sent((20, 0), (20, 0), (20, 0)).reason == (
        "http: the canary completed 0 requests; 40 were sent to it and had time: "
        "it is starved, hangs or is not measured"
    )
    assert weighed(5, 90, 900).reason == ("http: the canary completed 450 requests; its share of users lets expect 500")


def test_the_bench_finds_no_false_alarm_by_routed_counts(tmp_path: Path) -> None:
    """A short run of it; it holds its fast fold against the real evidence itself."""
    out = tmp_path / "rows.json"
    command = [sys.executable, "-m", "bench.starvation", "--runs", "40", "--seed", "7", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {row["rate"] for row in rows} >= {2, 20, 200}
    routed = [row for row in rows if row["rule"] == "routed"]
    assert [row["false_alarms"] for row in routed] == [0] * len(routed)
    assert all(row["hung_failed"] > 0 for row in routed)
