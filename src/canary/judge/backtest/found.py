"""What a backtest found, as plain numbers: JSON by `dataclasses.asdict`."""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.backtest.chance import Rate


@dataclass(frozen=True, slots=True)
class Detected:
    """Harm of one size and onset in one measure.

    times: the pseudo-canary's bad events (slow ones, for a histogram), times so many. onset: seconds from the start of
    the phase. seconds: the median time from the onset to the detection, None when less than half were detected.
    bad: bad events that its users met until then, or until the end, on average.
    """

    times: float
    onset: float
    rate: Rate
    seconds: float | None
    bad: float


@dataclass(frozen=True, slots=True)
class RuleFound:
    """One rule. literal: it is taken at its word, and `falsely` says how often a healthy release would have failed it.

    falsely: of all rows; a statistical rule's own, at its part of α. None: untested, and `why` says why.
    detected: of a statistical rule.
    """

    rule: str
    measure: str
    literal: bool
    margin: float | None
    falsely: Rate | None
    why: str = ""
    detected: tuple[Detected, ...] = ()


@dataclass(frozen=True, slots=True)
class Margin:
    """margin: the smallest (0–1) of all comparisons with which false rollbacks stay within α; None: none up to 100 %.

    falsely: with it. measures: the rules that need it; lines: how they are written in the plan.
    """

    margin: float | None
    falsely: Rate
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """windows: in the history. kept: judged; gaps, lonely: left out for missing scrapes, and for fewer than two pods.
    came_or_went: pods left out of a window in which they were not there all the time."""

    windows: int
    kept: int
    gaps: int
    lonely: int
    came_or_went: int


@dataclass(frozen=True, slots=True)
class PhaseFound:
    """One phase. seconds: of a window. falsely: by all statistical rules together, None when the phase has none.

    months: "2026-01" → the same, by the month in which a window begins. pods: by pod.
    """

    phase: str
    alpha: float
    seconds: float
    left_out: LeftOut
    falsely: Rate | None
    rules: tuple[RuleFound, ...]
    months: dict[str, Rate]
    pods: dict[str, Rate]
    margin: Margin | None
    sampled: int

    @property
    def passes(self) -> bool:
        """Whether every statistical rule was tested, and false rollbacks are within α even at their upper limit."""
        tested = all(rule.falsely is not None for rule in self.rules if not rule.literal)
        return tested and (self.falsely is None or self.falsely.high <= self.alpha)
