"""Harm put into the pseudo-canary's past, and how soon the judge would have seen it.

"× k" means: k times as many of its requests are bad as the history's are on average, each good one turned bad at
random, seeded. In a histogram the requests become slower so that k times as many lie beyond every edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from canary.judge.backtest.chance import Rate
from canary.judge.backtest.found import Detected
from canary.judge.backtest.history import History, Measured
from canary.judge.backtest.paths import FIRST_EDGE, live, whole
from canary.judge.backtest.same import NEVER, Judged, first, path_of
from canary.judge.backtest.windows import Batch, Whole, Windows
from canary.judge.odds import Array
from canary.judge.terms import BLOCK
from canary.plan.model import Rule

SIZES = (1.5, 2.0, 5.0, 10.0)
ONSETS = (0.0, 600.0, 1200.0)
"""Seconds from the start of the phase."""
SAMPLE = 2000


def sample(windows: Windows, draw: np.random.Generator, most: int = SAMPLE) -> Windows:
    """At most so many rows, each as likely as any other, in their order."""
    if len(windows.pods) <= most:
        return windows
    return windows.chosen(np.sort(draw.choice(len(windows.pods), most, replace=False)))


def detections(rule: Rule, judged: Judged, history: History, windows: Windows, seed: int) -> tuple[Detected, ...]:
    """One entry a size and onset; onsets at or after the end of the phase are left out."""
    onsets = [onset for onset in ONSETS if onset < judged.span.own * BLOCK]
    return tuple(
        _detected(Harm(times, onset, seed), rule, judged, history, windows) for onset in onsets for times in SIZES
    )


@dataclass(frozen=True, slots=True)
class Harm:
    """times, onset: see `Detected`. seed: the same one harms the same requests."""

    times: float
    onset: float
    seed: int


def _detected(harm: Harm, rule: Rule, judged: Judged, history: History, windows: Windows) -> Detected:
    when, met = zip(*_judged(harm, rule, judged, history, windows), strict=True)
    return _summed(harm, judged, np.concatenate(when), np.concatenate(met))


def _judged(
    harm: Harm, rule: Rule, judged: Judged, history: History, windows: Windows
) -> Iterator[tuple[Whole, Array]]:
    """Of each batch: the blocks in which the harm was seen, and what its users met by then."""
    draw = np.random.default_rng((harm.seed, int(harm.times * 100), int(harm.onset)))
    begins = judged.span.before + int(harm.onset // BLOCK)
    share, needed = judged.shares[rule], judged.terms.harm
    for batch in windows.batches(history):
        hurt = harmed(batch, rule.measure, history.measures[rule.measure], harm.times, begins, draw)
        usable = live(hurt, judged.terms, judged.span)
        when = first(share * path_of(rule, hurt, usable, judged) >= needed)
        until = np.where(when == NEVER, judged.span.blocks - 1, when)
        block = np.arange(judged.span.blocks)[:, None]
        met = np.where((block >= begins) & (block <= until), _bad(hurt, rule), 0.0).sum(0)
        yield when, met


def _bad(batch: Batch, rule: Rule) -> Array:
    """Bad events of the pseudo-canary; of a histogram, observations beyond the rule's limit or the middle edge."""
    counts, known = batch.counts[rule.measure][:, 0], batch.edges[rule.measure]
    if not known:
        return np.asarray(counts[1])
    limit = getattr(rule, "limit", None)
    place = int(np.searchsorted(known, limit)) if limit is not None else len(known) // 2
    total, under = whole(counts)
    return np.asarray(np.maximum(total - under[min(place, len(known) - 1)], 0.0))


def _summed(harm: Harm, judged: Judged, when: Whole, met: Array) -> Detected:
    """What was seen before the harm began counts as detected at once: it would have been rolled back."""
    begins = judged.span.before + int(harm.onset // BLOCK)
    seen = when != NEVER
    seconds = np.where(seen, np.maximum(when + 1 - begins, 0) * BLOCK, np.inf)
    median = float(np.quantile(seconds, 0.5, method="higher")) if len(seconds) else np.inf
    rate = Rate.seen(int(seen.sum()), len(when))
    return Detected(harm.times, harm.onset, rate, None if np.isinf(median) else median, float(met.mean()))


def harmed(batch: Batch, measure: str, past: Measured, times: float, begins: int, draw: np.random.Generator) -> Batch:
    """The batch with a pseudo-canary that is so many times as bad from the block `begins` on."""
    counts = batch.counts[measure].copy()
    counts[:, 0, begins:] = _worse(counts[:, 0, begins:], _spread(past), times, draw)
    return replace(batch, counts={**batch.counts, measure: counts})


def _spread(past: Measured) -> Array:
    """The share of the history's requests in each bin, from the best to the worst: good and bad, or edge by edge."""
    sums = past.values.sum((0, 1))
    total, under = whole(sums) if past.edges else (sums[0], sums[:1] - min(sums[1], sums[0]))
    return np.diff(np.concatenate([[0.0], under, [total]])) / max(float(total), 1.0)


def _worse(counts: Array, spread: Array, times: float, draw: np.random.Generator) -> Array:
    """Each request moves from its bin to a worse one as `moves` says."""
    edged = len(counts) > FIRST_EDGE
    total, under = whole(counts) if edged else (counts[0], counts[:1] - np.minimum(counts[1], counts[0]))
    bins = np.diff(np.concatenate([np.zeros((1, *total.shape)), under, total[None]]), axis=0)
    chances, after = moves(spread, times), np.zeros_like(bins)
    for number, held in enumerate(bins):
        moved = draw.multinomial(np.rint(held).astype(np.int64), chances[number])
        after += np.moveaxis(moved, -1, 0)
    at = np.cumsum(after, axis=0)
    return np.concatenate([total[None], counts[1:2], at[:-1]]) if edged else np.stack([total, after[1]])


def moves(spread: Array, times: float) -> Array:
    """(from, to): the chances with which requests move so that `times` as many lie in each of the worse bins' tails.

    The order is kept: who was among the worst u of all is now among the worst u × `times`.
    """
    tail = np.append(np.cumsum(spread[::-1])[::-1], 0.0)
    tail[0] = 1.0
    wanted = np.minimum(tail * times, 1.0)
    wanted[-1] = 0.0
    low, high = np.maximum(wanted[None, 1:], tail[1:, None]), np.minimum(wanted[None, :-1], tail[:-1, None])
    overlap = np.maximum(high - low, 0.0)
    held = overlap.sum(1, keepdims=True)
    return np.where(held > 0, overlap / np.where(held > 0, held, 1.0), np.eye(len(spread)))


def choose(rules: Sequence[Rule], judged: Judged, history: History) -> Sequence[Rule]:
    """The rules into whose measures harm can be put: statistical, and with requests in the history."""
    untested = judged.untested(history)
    return [rule for rule in rules if rule not in untested and history.measures[rule.measure].values[..., 0].sum() > 0]
