"""The imagined phases of `plan power` are judged by the judge: the same counts bring the same evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from canary.judge.baseline_trial import BaselineTrial
from canary.judge.block import Block
from canary.judge.edges import LEARNT_BLOCKS
from canary.judge.limits_trial import LimitTrial
from canary.judge.power.cell import Cell, Setting, cell_of
from canary.judge.power.facts import Known
from canary.judge.power.latency import LogNormal
from canary.judge.power.runs import Drawn, fine, harm
from canary.judge.terms import Terms
from canary.judge.trial import Moment, Trial
from canary.plan.model import Rule
from canary.plan.rules import criterion, trigger
from canary.ports import Increment

BLOCKS, STREAMS = 30, 3
LATENCY = LogNormal(0.05, 0.12, (0.05, 0.1, 0.2, 0.5))
SETTING = Setting(Terms(horizon=BLOCKS), 0.1, BLOCKS, 1.0)


def drawn(edges: int) -> list[Drawn]:
    """Blocks of three streams; a bad event of an edge is one of the edge below, too."""
    rng = np.random.default_rng(7)
    blocks = []
    for block in range(BLOCKS):
        n, other_n = rng.poisson(80, STREAMS), rng.poisson(720, STREAMS)
        bad = np.sort(rng.binomial(n[:, None], 0.06, (STREAMS, edges)), axis=-1)[:, ::-1] * 1.0
        other = np.sort(rng.binomial(other_n[:, None], 0.03, (STREAMS, edges)), axis=-1)[:, ::-1] * 1.0
        blocks.append(Drawn(n * 1.0, bad[None], other_n * 1.0, other, block // 4, float(BLOCKS - block)))
    return blocks


def evidence(cell: Cell, blocks: list[Drawn]) -> tuple[list[float], list[float]]:
    worse, better = harm(cell, (1, STREAMS)), fine(cell, (1, STREAMS))
    for block in blocks:
        worse, better = worse.add(block), better.add(block)
    return list(worse.evidence[0]), list(better.evidence[0])


def judged(trial: Trial, blocks: list[tuple[Increment, Increment, Drawn]]) -> tuple[float, float]:
    for number, (canary, baseline, block) in enumerate(blocks, 1):
        found = Block(number * 15.0, {"errors": {"canary": canary, "baseline": baseline}}, 1)
        trial = trial.add(found, Moment(block.minute, block.left))
    return trial.harm, trial.fine


def cell(rule: Rule, known: Known) -> Cell:
    found = cell_of(rule, SETTING, known)  # type: ignore[arg-type]
    assert isinstance(found, Cell)
    return found


@pytest.mark.parametrize("profile", ["steady", "swift", "independent"])
def test_a_comparison_of_counters_has_the_real_trials_evidence(profile: str) -> None:
    """Every profile, with a margin, from both sides."""
    rule = criterion({"errors": "no worse than baseline by 50%", "profile": profile, "margin": "10%"})
    blocks = drawn(1)
    harms, fines = evidence(cell(rule, Known("rate", 50.0, 0.03)), blocks)
    for stream in range(STREAMS):
        told = [
            (
                Increment(b.n[stream], b.bad[0, stream, 0]),
                Increment(b.other_n[stream], b.other_bad[stream, 0]),
                b,
            )
            for b in blocks
        ]
        real = judged(BaselineTrial.start(rule, 100.0), told)  # type: ignore[arg-type]
        assert (harms[stream], fines[stream]) == pytest.approx(real)
        assert real[0] != 1.0


def test_a_limit_has_the_real_trials_evidence() -> None:
    """The cluster form, from both sides."""
    rule = criterion({"errors": "< 5%", "cluster": 2})
    blocks = [replace(block, bad=np.repeat(block.bad, 2, axis=-1)) for block in drawn(1)]
    harms, fines = evidence(cell(rule, Known("rate", 50.0, 0.03)), blocks)
    for stream in range(STREAMS):
        told = [(Increment(b.n[stream], b.bad[0, stream, 0]), Increment(0.0), b) for b in blocks]
        assert (harms[stream], fines[stream]) == pytest.approx(judged(LimitTrial.start(rule), told))  # type: ignore[arg-type]


def test_a_quantile_between_two_edges_has_the_real_trials_evidence() -> None:
    """What is above the upper edge breaks it, what is below the lower one keeps it."""
    rule = criterion({"errors": "p95 < 150ms"})
    blocks = drawn(2)
    harms, fines = evidence(cell(rule, Known("times", 50.0, None, LATENCY)), blocks)
    for stream in range(STREAMS):
        told = [
            (
                Increment(
                    b.n[stream],
                    0.0,
                    {0.1: b.n[stream] - b.bad[0, stream, 0], 0.2: b.n[stream] - b.bad[0, stream, 1]},
                ),
                Increment(0.0),
                b,
            )
            for b in blocks
        ]
        assert (harms[stream], fines[stream]) == pytest.approx(judged(LimitTrial.start(rule), told))  # type: ignore[arg-type]


def test_a_comparison_of_latency_looks_at_the_edges_that_the_real_trial_chooses() -> None:
    """The same edges, with the same odds, once the baseline's histogram is known."""
    rule = trigger({"errors": "> 20% over baseline"})
    found = cell(rule, Known("times", 50.0, None, LATENCY))
    share = {edge: 1 - LATENCY.above(edge) for edge in LATENCY.edges}
    baseline = Increment(1e6, 0.0, {edge: 1e6 * under for edge, under in share.items()})
    real = BaselineTrial.start(rule, 100.0)  # type: ignore[arg-type]
    for _ in range(LEARNT_BLOCKS):
        real = real.add(Block(15.0, {"errors": {"canary": baseline, "baseline": baseline}}, 1), Moment(0))
    assert found.form.odds == pytest.approx([edge.odds for edge in real.edges], rel=1e-3)  # type: ignore[union-attr]
    assert found.healthy == pytest.approx([LATENCY.above(edge.seconds) for edge in real.edges])


def test_blocks_in_which_the_baseline_is_learnt_are_no_evidence() -> None:
    """500 observations of it, and the warm-up before them."""
    rule = trigger({"errors": "> 20% over baseline"})
    found = cell_of(rule, SETTING, Known("times", 10.0, None, LATENCY))  # type: ignore[arg-type]
    assert isinstance(found, Cell)
    assert (found.canary, found.baseline, found.skipped) == (15.0, 135.0, 4)
