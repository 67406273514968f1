"""The backtest judges as the judge does: the same blocks, one by one or by the thousand, show the same evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.judge.backtest.history import Gathering, History
from canary.judge.backtest.paths import Span, live
from canary.judge.backtest.same import NEVER, Judged, fails, path_of
from canary.judge.backtest.windows import Batch, Windows
from canary.judge.block import Block, Increment
from canary.judge.evidence import Evidence
from canary.judge.sequential import SequentialJudge
from canary.judge.terms import Settle, Terms
from canary.judge.verdict import Outcome
from canary.plan.model import Rule
from canary.plan.rules import criterion, trigger

EDGES = (0.05, 0.1, 0.2, 0.5)
BLOCKS, PODS = 28, 3
WITH_REQUESTS: list[tuple[Any, dict[str, Any]]] = [
    (criterion, {"errors": "< 2%"}),
    (trigger, {"errors": "> 5%", "cluster": 1}),
    (trigger, {"errors": "worse than baseline"}),
    (trigger, {"errors": "> 20% over baseline", "margin": "25%"}),
    (trigger, {"errors": "worse than baseline", "profile": "swift"}),
    (trigger, {"errors": "worse than baseline", "profile": "independent"}),
]
WITH_TIMES: list[tuple[Any, dict[str, Any]]] = [
    (criterion, {"times": "p95 < 200ms"}),
    (criterion, {"times": "p90 < 150ms"}),
    (trigger, {"times": "p95 > 9s"}),
    (trigger, {"times": "> 20% over baseline"}),
    (trigger, {"times": "p95 worse than baseline"}),
]
LITERAL: list[tuple[Any, dict[str, Any]]] = [
    (criterion, {"errors": "none"}),
    (trigger, {"errors": "any"}),
    (criterion, {"errors": "< 2%", "profile": "literal"}),
    (trigger, {"errors": "> 2%", "profile": "literal"}),
    (criterion, {"times": "p95 < 200ms", "profile": "literal"}),
    (criterion, {"times": "p95 < 150ms", "profile": "literal"}),
    (trigger, {"times": "p95 > 200ms", "profile": "literal"}),
    (trigger, {"times": "> 20% over baseline", "profile": "literal"}),
    (trigger, {"times": "p50 > 5% over baseline", "profile": "literal"}),
    (trigger, {"times": "p97 > 5% over baseline", "profile": "literal"}),
]


def past(seed: int, bad: float, gaps: float, blocks: int = 2 * BLOCKS) -> History:
    """Three pods with requests, bad ones and times; so many scrapes are missing."""
    draw, gathering = np.random.default_rng(seed), Gathering()
    at = 15.0 * np.arange(blocks + 1)
    for pod in range(PODS):
        n = draw.poisson(60, blocks + 1)
        worse = bad * (3 if pod == 0 else 1)
        shares = np.array([0.4, 0.3, 0.2, 0.06, 0.04]) if pod else np.array([0.2, 0.3, 0.2, 0.2, 0.1])
        under = np.cumsum(draw.multinomial(n, shares), axis=1)[:, :-1]
        kept = draw.random(blocks + 1) >= gaps
        kept[[0, -1]] = True
        counters = {"total": np.cumsum(n)[kept] * 1.0, "bad": np.cumsum(draw.binomial(n, worse))[kept] * 1.0}
        gathering.add(f"pod-{pod}", "errors", at[kept], counters)
        buckets = {edge: np.cumsum(under[:, place])[kept] * 1.0 for place, edge in enumerate(EDGES)}
        gathering.add(f"pod-{pod}", "times", at[kept], {"total": np.cumsum(n)[kept] * 1.0, **buckets})
    return gathering.history()


def judged(written: list[tuple[Any, dict[str, Any]]], settle: float = 0, before: int = 0) -> Judged:
    rules = tuple(read(rule) for read, rule in written)
    terms = Terms(settle=Settle(settle) if settle else None, horizon=BLOCKS - before)
    return Judged("canary", rules, terms, Span(before, BLOCKS - before))


def evidences(batch: Batch, row: int, before: int) -> Iterator[tuple[int, Evidence]]:
    """What the conductor would hold after each block of a row in which anything was scraped."""
    evidence = Evidence()
    for block in range(BLOCKS):
        evidence = evidence.next_phase() if block == before and before else evidence
        if not batch.present[block, row]:
            continue
        increments = {
            measure: {
                arm: Increment(found[0], found[1], dict(zip(batch.edges[measure], found[2:], strict=True)))
                for arm, place in (("canary", 0), ("baseline", 1))
                if (found := counts[:, place, block, row].tolist())
            }
            for measure, counts in batch.counts.items()
        }
        at = 15.0 * (batch.starts[row] + block + 1)
        evidence = evidence.add(Block(at, increments, 1))  # type: ignore[arg-type]
        yield block, evidence


def one_by_one(asked: Judged, batch: Batch, row: int) -> Iterator[tuple[int, dict[Rule, float], dict[Rule, Outcome]]]:
    """The real judge, block after block: each statistical rule's evidence of harm, and each rule's outcome."""
    judge = SequentialJudge(asked.terms)
    for block, evidence in evidences(batch, row, asked.span.before):
        if block < asked.span.before:
            continue
        verdict = judge.judge(asked.rules, (), evidence, traffic="errors")
        said = dict(zip(asked.rules, verdict.verdicts, strict=False))
        harms = {rule: told.proof.harm for rule, told in said.items() if told.proof}
        yield block, harms, {rule: told.outcome for rule, told in said.items()}


@pytest.mark.parametrize("written", [WITH_REQUESTS, WITH_TIMES], ids=["requests", "times"])
@pytest.mark.parametrize(("gaps", "settle", "before"), [(0.0, 0, 0), (0.45, 0, 0), (0.0, 60, 0), (0.4, 60, 8)])
def test_the_evidence_is_the_judges_own(
    written: list[tuple[Any, dict[str, Any]]], gaps: float, settle: float, before: int
) -> None:
    """After every block, of every row: with missing scrapes, a warm-up, and a phase that came before."""
    history, asked = past(7, 0.02, gaps), judged(written, settle, before)
    (batch,) = Windows.of_length(history, BLOCKS).batches(history)
    usable = live(batch, asked.terms, asked.span)
    paths = {rule: path_of(rule, batch, usable, asked) for rule in asked.rules}
    assert batch.rows >= PODS
    for row in range(batch.rows):
        for block, harms, _ in one_by_one(asked, batch, row):
            for rule, harm in harms.items():
                assert paths[rule][block, row] == pytest.approx(harm, rel=1e-9), (rule.text, row, block)
    assert max(path.max() for path in paths.values()) > 2


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 0.08]), st.sampled_from([0.0, 0.3]))
def test_a_row_fails_when_the_judge_would_have_rolled_back(seed: int, bad: float, gaps: float) -> None:
    """In the same block, by the same rule, whether it is statistical or literal."""
    history, asked = past(seed, bad, gaps, BLOCKS), judged([WITH_REQUESTS[0], WITH_REQUESTS[2], *LITERAL])
    windows = Windows.of_length(history, BLOCKS)
    (batch,), found = windows.batches(history), fails(asked, history, windows)
    for row in range(batch.rows):
        failed = dict.fromkeys(asked.rules, NEVER)
        for block, _, outcomes in one_by_one(asked, batch, row):
            for rule, outcome in outcomes.items():
                if outcome is Outcome.FAIL and failed[rule] == NEVER:
                    failed[rule] = block
        assert {rule: int(when[row]) for rule, when in found.by_rule.items()} == failed


@pytest.mark.parametrize("seed", range(4))
def test_what_all_rules_show_together_rolls_back_before_one_does_alone(seed: int) -> None:
    """The weighted sum decides: never later than the first rule that reaches its own limit."""
    history, asked = past(seed, 0.02, 0.0), judged([WITH_REQUESTS[2], WITH_REQUESTS[5]])
    found = fails(asked, history, Windows.of_length(history, BLOCKS))
    alone = np.stack([np.where(when == NEVER, BLOCKS, when) for when in found.by_rule.values()]).min(0)
    together = np.where(found.together == NEVER, BLOCKS, found.together)
    assert (together <= alone).all()
    assert together.min() < BLOCKS
