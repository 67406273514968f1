"""A/A: nothing differs between the arms but the pod, so every rollback is a false one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from canary.judge.backtest.history import Flags, History, Measured
from canary.judge.backtest.literally import fired
from canary.judge.backtest.paths import Span, baseline_path, limit_path, live
from canary.judge.backtest.windows import Batch, Whole, Windows
from canary.judge.odds import Array
from canary.judge.terms import Terms
from canary.plan.model import AnySeen, NoneSeen, OfBaseline, Rule
from canary.plan.rules import OF_COUNTERS, is_literal

NEVER = -1


@dataclass(frozen=True, slots=True)
class Judged:
    """A phase as its judge sees it: the rules, how sure it must be, and its blocks."""

    phase: str
    rules: tuple[Rule, ...]
    terms: Terms
    span: Span

    @property
    def statistical(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not is_literal(rule))

    @property
    def literal(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if is_literal(rule))

    @property
    def shares(self) -> Mapping[Rule, float]:
        """Each statistical rule's part of α."""
        weights = sum(rule.how.weight for rule in self.statistical)
        return {rule: rule.how.weight / weights for rule in self.statistical}

    def with_margin(self, margin: float, of: Sequence[Rule]) -> Judged:
        """With this margin on those of its rules."""
        rules = tuple(
            replace(rule, how=replace(rule.how, margin=margin)) if rule in of else rule for rule in self.rules
        )
        return replace(self, rules=rules)

    def untested(self, history: History) -> Mapping[Rule, str]:
        """The rules about which the history says nothing, and why."""
        known = ", ".join(history.measures) or "nothing"
        why = {}
        for rule in self.rules:
            if rule.measure in self.terms.windows:
                why[rule] = "it compares a ready-made number, which cannot be taken apart by pods"
            elif rule.measure not in history.measures:
                why[rule] = f"the history has no measure {rule.measure!r}; it has: {known}"
            elif lacks := _lacks(rule, history.measures[rule.measure]):
                why[rule] = f"the history has no {lacks} for {rule.measure!r}"
        return why


def _lacks(rule: Rule, found: Measured) -> str:
    """The columns without which nothing of a rule could ever be seen."""
    if isinstance(rule, OF_COUNTERS):
        return "" if found.says_bad else "bad events (column bad)"
    if isinstance(rule, OfBaseline):
        return "" if found.says_bad or found.edges else "bad events (column bad) and no buckets (columns le_…)"
    return "" if found.edges else "buckets (columns le_…)"


@dataclass(frozen=True, slots=True, eq=False)
class Fails:
    """The block in which each row failed, or NEVER: by all statistical rules together, and by each rule alone."""

    together: Whole
    by_rule: Mapping[Rule, Whole]


def fails(judged: Judged, history: History, windows: Windows, literal: bool = True) -> Fails:
    """Judge every row. Rules that the history cannot test are passed over; `literal` ones only when asked for."""
    untested = judged.untested(history)
    rules = [rule for rule in (*judged.statistical, *(judged.literal if literal else ())) if rule not in untested]
    parts = [_batch(judged, rules, batch) for batch in windows.batches(history)]
    by_rule = {rule: _joined([found.by_rule[rule] for found in parts]) for rule in rules}
    return Fails(_joined([found.together for found in parts]), by_rule)


def _joined(parts: Sequence[Whole]) -> Whole:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _batch(judged: Judged, rules: Sequence[Rule], batch: Batch) -> Fails:
    usable, needed = live(batch, judged.terms, judged.span), judged.terms.harm
    shares, together, by_rule = judged.shares, np.zeros(usable.shape), {}
    for rule in rules:
        if is_literal(rule):
            by_rule[rule] = first(fired(rule, batch, judged.span.before))
        else:
            part = shares[rule] * path_of(rule, batch, usable, judged)
            by_rule[rule] = first(part >= needed)
            together += part
    return Fails(first(together >= needed), by_rule)


def path_of(rule: Rule, batch: Batch, usable: Flags, judged: Judged) -> Array:
    """Evidence that a statistical rule is broken, after each block: (blocks, rows)."""
    if isinstance(rule, OfBaseline):
        return baseline_path(rule, batch, usable, judged.terms, judged.span)
    assert not isinstance(rule, NoneSeen | AnySeen)
    return limit_path(rule, batch, usable)


def first(hit: Flags) -> Whole:
    """The first block in which it holds, or NEVER."""
    return np.where(hit.any(0), hit.argmax(0), NEVER)
