"""A backtest: everything that can be said of a judged phase from a service's own past."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from canary.judge.backtest.chance import Rate
from canary.judge.backtest.found import LeftOut, PhaseFound, RuleFound
from canary.judge.backtest.harm import choose, detections, sample
from canary.judge.backtest.history import Flags, History
from canary.judge.backtest.margin import smallest
from canary.judge.backtest.same import NEVER, Fails, Judged, fails
from canary.judge.backtest.windows import Windows
from canary.judge.terms import BLOCK
from canary.plan.model import OfBaseline, Rule
from canary.plan.rules import is_literal


def backtested(judged: Judged, history: History, seed: int) -> PhaseFound:
    """One phase. Raises BadUsage when the history is shorter than one of its windows."""
    windows = Windows.of_length(history, judged.span.blocks)
    found = fails(judged, history, windows)
    sampled = sample(windows, np.random.default_rng(seed))
    harmed = set(choose(judged.statistical, judged, history))
    rules = [_rule(rule, judged, history, found) for rule in judged.rules]
    tried = [
        replace(told, detected=detections(rule, judged, history, sampled, seed)) if rule in harmed else told
        for rule, told in zip(judged.rules, rules, strict=True)
    ]
    rows, statistical = len(windows.pods), bool(set(judged.statistical) & found.by_rule.keys())
    failed = found.together != NEVER
    return PhaseFound(
        phase=judged.phase,
        alpha=judged.terms.alpha,
        seconds=judged.span.blocks * BLOCK,
        left_out=LeftOut(windows.of, windows.kept, windows.gaps, windows.lonely, windows.came_or_went),
        falsely=Rate.seen(int(failed.sum()), rows) if statistical else None,
        rules=tuple(tried),
        months=_by([_month(history.start + start * BLOCK) for start in windows.starts], failed),
        pods=_by([history.pods[pod] for pod in windows.pods], failed),
        margin=smallest(judged, history, windows, found) if statistical else None,
        sampled=len(sampled.pods),
    )


def _rule(rule: Rule, judged: Judged, history: History, found: Fails) -> RuleFound:
    when, why = found.by_rule.get(rule), judged.untested(history).get(rule, "")
    rate = None if when is None else Rate.seen(int((when != NEVER).sum()), len(when))
    margin = rule.how.margin if isinstance(rule, OfBaseline) and not is_literal(rule) else None
    return RuleFound(rule.text, rule.measure, is_literal(rule), margin, rate, why)


def _month(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"


def _by(names: list[str], failed: Flags) -> dict[str, Rate]:
    keys, place = np.unique(np.array(names), return_inverse=True)
    of, hits = np.bincount(place, minlength=len(keys)), np.bincount(place, weights=failed, minlength=len(keys))
    return {str(key): Rate.seen(int(hits[i]), int(of[i])) for i, key in enumerate(keys)}
