"""A service's past, pod by pod: raw cumulative counters → increments on a grid of 15 s blocks.

Increments are taken as `canary.judge.series` takes them: a counter that falls has restarted and counts from 0, a
pod's first sample adds nothing, an increment belongs to its later scrape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from canary.errors import BadUsage
from canary.judge.odds import Array
from canary.judge.terms import BLOCK, MINUTE

Flags = NDArray[np.bool_]
TOTAL, BAD = "total", "bad"
SILENT = 300.0
"""Seconds between two samples of a counter after which the second one adds nothing: what a live read looks back."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One measure. values: (pods, blocks, 2 + edges): total, bad, then observations at or below each edge, which are
    seconds or ratios 0–1, rising. says_bad: whether it counts bad events at all."""

    edges: tuple[float, ...]
    values: Array
    says_bad: bool = True


@dataclass(frozen=True, slots=True)
class Noted:
    """What was odd in the samples. broken: no number, infinite, negative; twice: of one time; restarts: counters that
    fell; silences: longer than 5 min; nothing is counted across them."""

    samples: int = 0
    broken: int = 0
    twice: int = 0
    restarts: int = 0
    silences: int = 0

    def plus(self, other: Noted) -> Noted:
        return Noted(
            self.samples + other.samples,
            self.broken + other.broken,
            self.twice + other.twice,
            self.restarts + other.restarts,
            self.silences + other.silences,
        )


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """start: unix seconds, a full minute, at which the first block begins. sampled: (pods, blocks)."""

    start: float
    pods: tuple[str, ...]
    sampled: Flags
    measures: Mapping[str, Measured]
    noted: Noted

    @property
    def blocks(self) -> int:
        return int(self.sampled.shape[1])

    @property
    def end(self) -> float:
        """Unix seconds."""
        return self.start + self.blocks * BLOCK


Parts = list[tuple[Array, Mapping[float | str, Array]]]


@dataclass(slots=True)
class Gathering:
    """Samples as they are read, in any order; `history` makes the grid of them, and forgets them."""

    _series: dict[tuple[str, str], Parts] = field(default_factory=dict)
    _broken: int = 0

    def add(self, pod: str, measure: str, at: Array, columns: Mapping[float | str, Array]) -> None:
        """Samples of one pod: unix seconds, and cumulative counters by column: "total", "bad", or an upper edge."""
        self._series.setdefault((pod, measure), []).append((at, columns))

    def note_broken(self, rows: int) -> None:
        """Rows that could not be read at all."""
        self._broken += rows

    def history(self) -> History:
        """Raises BadUsage when there is less than a minute of samples."""
        start, blocks = self._span()
        pods = tuple(sorted({pod for pod, _ in self._series}))
        sampled = np.zeros((len(pods), blocks), dtype=np.bool_)
        noted, measures = Noted(broken=self._broken), {}
        for measure in sorted({measure for _, measure in self._series}):
            columns, says_bad = self._columns(measure)
            values = np.zeros((len(pods), blocks, len(columns)))
            for number, pod in enumerate(pods):
                times, counters, odd = _clean(self._series.pop((pod, measure), []), columns)
                noted = noted.plus(odd)
                noted = noted.plus(_fill(values[number], sampled[number], start, times, counters))
            measures[measure] = Measured(tuple(c for c in columns if isinstance(c, float)), values, says_bad)
        return History(start, pods, sampled, measures, noted)

    def _span(self) -> tuple[float, int]:
        times = [(at.min(), at.max()) for parts in self._series.values() for at, _ in parts if at.size]
        first, last = (min(t[0] for t in times), max(t[1] for t in times)) if times else (0.0, 0.0)
        start = math.ceil(first / MINUTE) * MINUTE
        blocks = int((last - start) // BLOCK)
        if blocks < 1:
            raise BadUsage("the history holds less than a minute of samples", "export a longer time, such as 30 days")
        return start, blocks

    def _columns(self, measure: str) -> tuple[list[float | str], bool]:
        """Total and bad, then the measure's own edges: columns in which it has any number. Whether bad is one."""
        found = {
            name
            for (_, of), parts in self._series.items()
            if of == measure
            for _, columns in parts
            for name, values in columns.items()
            if np.isfinite(values).any()
        }
        return [TOTAL, BAD, *sorted(edge for edge in found if isinstance(edge, float))], BAD in found


def _clean(parts: Parts, columns: list[float | str]) -> tuple[Array, Array, Noted]:
    """Times, rising, and counters (samples, columns) of one series; a column it does not have is 0."""
    if not parts:
        return np.zeros(0), np.zeros((0, len(columns))), Noted()
    at = np.concatenate([times for times, _ in parts])
    counters = np.stack([_column(parts, name) for name in columns], axis=-1)
    good = np.isfinite(at) & (np.isfinite(counters) & (counters >= 0)).all(-1)
    if not good.all():
        at, counters = at[good], counters[good]
    if (np.diff(at) < 0).any():
        order = np.argsort(at, kind="stable")
        at, counters = at[order], counters[order]
    new = np.diff(at, prepend=-np.inf) > 0
    noted = Noted(samples=good.size, broken=int((~good).sum()), twice=int((~new).sum()))
    return at[new], counters[new], noted


def _column(parts: Parts, name: float | str) -> Array:
    every = [columns.get(name) for _, columns in parts]
    whole = [np.full(at.shape, np.nan) if c is None else c for (at, _), c in zip(parts, every, strict=True)]
    values = np.concatenate(whole).astype(np.float64, copy=False)
    # A measure without bad events (a histogram) leaves that column empty: nothing is bad then.
    return np.zeros_like(values) if name == BAD and not np.isfinite(values).any() else values


def _fill(values: Array, sampled: Flags, start: float, at: Array, counters: Array) -> Noted:
    """The increments of one pod into its rows of the grid, in place."""
    block = np.ceil((at - start) / BLOCK - 1e-9).astype(np.int64) - 1
    inside = (block >= 0) & (block < len(sampled))
    sampled[block[inside]] = True
    rises = np.diff(counters, axis=0)
    fell = rises < 0
    steps = np.where(fell, counters[1:], rises)
    told, later = np.diff(at) <= SILENT, inside[1:]
    kept = told & later
    for column in range(steps.shape[1]):
        counted = np.bincount(block[1:][kept], weights=steps[kept, column], minlength=len(sampled))
        values[:, column] += counted
    return Noted(restarts=int((fell.any(-1) & told).sum()), silences=int((~told).sum()))
