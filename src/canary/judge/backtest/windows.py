"""Windows of a history, back to back, in which each pod in turn plays the canary against all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canary.errors import BadUsage
from canary.judge.backtest.history import Flags, History
from canary.judge.odds import Array
from canary.judge.terms import BLOCK, MINUTE
from canary.plan.units import duration

Whole = NDArray[np.int64]
ENOUGH = 0.9
"""Of the scrapes that are usual in a window, so many must be there."""
A_MINUTE = int(MINUTE // BLOCK)
ROWS = 4096
"""Judged at once: enough to keep numpy busy, few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of (pod, window), in columns. present: (blocks, rows), whether anything was scraped of the service.

    counts: measure → (2 + edges, 2, blocks, rows): see `Measured`; the pseudo-canary's, then all others'.
    """

    pods: Whole
    starts: Whole
    present: Flags
    counts: Mapping[str, Array]
    edges: Mapping[str, tuple[float, ...]]

    @property
    def rows(self) -> int:
        return len(self.pods)

    @property
    def minutes(self) -> Whole:
        """The clock minute of each block, from the start of the history."""
        return (self.starts + np.arange(len(self.present))[:, None]) // A_MINUTE


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """pods, starts: one entry a row that is judged: a pod, and the first block of its window.

    of: windows in the history; gaps, lonely: of these left out for missing scrapes, and for fewer than two pods.
    came_or_went: rows left out since the pod was not there for the whole window.
    """

    length: int
    pods: Whole
    starts: Whole
    of: int
    gaps: int
    lonely: int
    came_or_went: int

    @classmethod
    def of_length(cls, history: History, length: int) -> Windows:
        """length: blocks. Each window begins at a full minute. Raises BadUsage when not one fits."""
        stride = -(-length // A_MINUTE) * A_MINUTE
        count = (history.blocks - length) // stride + 1 if history.blocks >= length else 0
        if not count:
            spanned, one = duration(history.blocks * BLOCK), duration(length * BLOCK)
            raise BadUsage(f"the history spans {spanned}, and one window takes {one}", "export a longer time")
        starts = np.arange(count) * stride
        of_pods = _counted(history.sampled, starts, length)
        of_all = _counted(np.atleast_2d(history.sampled.any(axis=0)), starts, length)[0]
        whole = of_all >= ENOUGH * np.median(of_all[of_all > 0])
        there = of_pods >= ENOUGH * np.median(of_pods[of_pods > 0])
        several = (of_pods > 0).sum(0) >= 2
        windows, pods = np.nonzero((there & whole & several).T)
        left = int((~there & (of_pods > 0) & whole & several).sum())
        return cls(length, pods, starts[windows], count, int((~whole).sum()), int((whole & ~several).sum()), left)

    @property
    def kept(self) -> int:
        """Windows in which at least one pod is judged."""
        return len(np.unique(self.starts))

    def chosen(self, rows: Whole | Flags) -> Windows:
        """Only these rows."""
        rest = (self.of, self.gaps, self.lonely, self.came_or_went)
        return Windows(self.length, self.pods[rows], self.starts[rows], *rest)

    def batches(self, history: History) -> Iterator[Batch]:
        """All rows, some thousands at a time, in their order."""
        for first in range(0, len(self.pods), ROWS):
            part = slice(first, first + ROWS)
            yield self._batch(history, self.pods[part], self.starts[part])

    def _batch(self, history: History, pods: Whole, starts: Whole) -> Batch:
        unique, place = np.unique(starts, return_inverse=True)
        at = unique[:, None] + np.arange(self.length)
        counts, edges = {}, {}
        for measure, found in history.measures.items():
            of_pods = found.values[:, at]
            ours = of_pods[pods, place]
            both = np.stack([ours, of_pods.sum(0)[place] - ours])
            counts[measure] = np.ascontiguousarray(both.transpose(3, 0, 2, 1))
            edges[measure] = found.edges
        present = np.asarray(history.sampled[:, at].any(axis=0))[place].T
        return Batch(pods, starts, present, counts, edges)


def _counted(sampled: Flags, starts: Whole, length: int) -> Whole:
    """Blocks with a scrape: (pods, windows)."""
    sums = np.concatenate([np.zeros((len(sampled), 1), dtype=np.int64), np.cumsum(sampled, axis=1)], axis=1)
    return np.asarray(sums[:, starts + length] - sums[:, starts])
