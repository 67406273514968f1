"""Numbers as people read them: a value with its unit, and a row of values as a line of bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"
WIDTH = 16
"""Bars of the longest line."""


def number(value: float | None, unit: str) -> str:
    """A value with its unit; an unknown one is a dash."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value:.2%}"
    if unit == "seconds":
        return f"{value * 1000:.0f} ms"
    return f"{value:,.0f}"


def clock_seconds(seconds: float) -> str:
    """A duration to the second: 75.4 → "1:15", 3700 → "1:01:40". What is over is 0:00."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spark(values: Sequence[float | None], width: int = WIDTH) -> str:
    """One bar a value, from 0 to the highest; a gap where nothing was measured.

    More values than `width` are put together, the highest of each group counting: no spike is averaged away.
    """
    shown = _squeezed(values, width)
    highest = max((value for value in shown if value is not None), default=0.0)
    return "".join(GAP if value is None else _bar(value, highest) for value in shown)


def _bar(value: float, highest: float) -> str:
    part = value / highest if highest > 0 else 0.0
    return BARS[min(len(BARS) - 1, max(0, round(part * (len(BARS) - 1))))]


def _squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    edges = [len(values) * n // width for n in range(width + 1)]
    return [_highest(values[start:end]) for start, end in pairwise(edges)]


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
