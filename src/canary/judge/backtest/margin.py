"""The smallest margin with which this service's own differences between pods are no reason to roll back."""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.backtest.chance import Rate
from canary.judge.backtest.found import Margin
from canary.judge.backtest.history import History
from canary.judge.backtest.same import NEVER, Fails, Judged, fails
from canary.judge.backtest.windows import Windows
from canary.plan.model import OfBaseline, Rule
from canary.plan.units import percent

MARGINS = tuple(number / 20 for number in range(21))
"""Those that are tried: a plan can say 0 % to 100 %."""


def smallest(judged: Judged, history: History, windows: Windows, written: Fails) -> Margin | None:
    """One margin for all comparisons that ever fired; None when the phase compares nothing that can be tested.

    written: how the rows failed with the margins of the plan. Bisection looks only at rows that fail without any
    margin, since a larger one only takes evidence away; what it finds is then shown on all rows.
    """
    untested = judged.untested(history)
    compared = [r for r in judged.statistical if isinstance(r, OfBaseline) and r not in untested]
    if not compared:
        return None
    without = judged.with_margin(0.0, compared)
    bare = written if without == judged else fails(without, history, windows, literal=False)
    names = {rule: without.rules[judged.rules.index(rule)] for rule in compared}
    guilty = [rule for rule in compared if (bare.by_rule[names[rule]] != NEVER).any()] or compared
    return _searched(_Search(judged, history, windows, tuple(compared), tuple(guilty)), bare)


@dataclass(frozen=True, slots=True)
class _Search:
    """compared: all comparisons that can be tested; guilty: those of them that get a margin."""

    judged: Judged
    history: History
    windows: Windows
    compared: tuple[Rule, ...]
    guilty: tuple[Rule, ...]

    def judged_with(self, margin: float) -> Judged:
        bare = self.judged.with_margin(0.0, self.compared)
        spots = [self.judged.rules.index(rule) for rule in self.guilty]
        return bare.with_margin(margin, [bare.rules[spot] for spot in spots])

    def rate(self, margin: float, windows: Windows) -> Rate:
        """Of all rows, when only these can fail."""
        found = fails(self.judged_with(margin), self.history, windows, literal=False)
        return Rate.seen(int((found.together != NEVER).sum()), len(self.windows.pods))

    def lines(self, margin: float) -> tuple[str, ...]:
        return tuple(_written(rule, margin) for rule in self.guilty)


def _written(rule: Rule, margin: float) -> str:
    """The rule as it stands in the plan, with this margin."""
    how = rule.how
    beside = [f"on: [{', '.join(rule.on)}]"] if len(rule.on) > 1 else [f"on: {name}" for name in rule.on]
    beside += [f"weight: {how.weight:g}"] * (how.weight != 1) + [f"profile: {how.profile}"] * (how.profile != "steady")
    return "{" + ", ".join([f'{rule.signal}: "{rule.text}"', *beside, f"margin: {percent(margin)}"]) + "}"


def _searched(search: _Search, bare: Fails) -> Margin:
    suspects = search.windows.chosen(bare.together != NEVER)
    none = Rate.seen(len(suspects.pods), len(search.windows.pods))
    alpha = search.judged.terms.alpha
    if none.high <= alpha:
        return Margin(0.0, none)
    most = search.rate(MARGINS[-1], suspects)
    if most.high > alpha:
        return Margin(None, most)
    low, high = 0, len(MARGINS) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if search.rate(MARGINS[middle], suspects).high <= alpha else (middle, high)
    return _shown(search, high)


def _shown(search: _Search, place: int) -> Margin:
    """With the first margin from there on that holds on every row."""
    for margin in MARGINS[place:]:
        rate = search.rate(margin, search.windows)
        if rate.high <= search.judged.terms.alpha:
            return Margin(margin, rate, search.lines(margin))
    return Margin(None, rate)
