"""What would let a rule decide: a longer phase, more exposure, a coarser margin. Each is tried by the judge itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from canary.judge.baseline_trial import Compared
from canary.judge.limits_trial import Limited
from canary.judge.odds import Array
from canary.judge.power.cell import Cell, Setting, cell_of
from canary.judge.power.facts import Known
from canary.judge.power.green import PROMOTED, healthy
from canary.judge.power.runs import harm, run
from canary.judge.power.search import SURE
from canary.judge.terms import BLOCK
from canary.judge.words import of_unit
from canary.plan.model import NoWorseThanBaseline, QuantileBelow, RateBelow
from canary.plan.units import duration, percent

LONGER = 12
"""Times as long as the phase is, at the most that is tried; and no longer than a day."""
DAY = 5760
STREAMS = 300
SEED = 44_401
STEP = 20
"""Blocks that a suggested duration is rounded up to: five minutes."""
EXPOSURES = (0.25, 0.5)
COARSER_BY = (0.5, 1.0, 2.0, 4.0)
COARSER_LIMIT = (2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Which side cannot decide: harm is not found, or a healthy release is not promoted."""

    harm: bool
    green: bool


def advice(rule: Compared | Limited, setting: Setting, known: Known, cell: Cell, lacking: Lacking) -> tuple[str, ...]:
    """What would do, one sentence each; what to look at when nothing of that does."""
    found = tuple(_found(rule, setting, known, cell, lacking))
    return found or ("nothing of this kind would do: look at the traffic, the limit and today's bad share",)


def _found(rule: Compared | Limited, setting: Setting, known: Known, cell: Cell, lacking: Lacking) -> Iterator[str]:
    blocks = _blocks_needed(setting, cell, lacking)
    if blocks:
        yield f"longer: for: {duration(blocks * BLOCK)}"
    for exposure in EXPOSURES:
        more = replace(setting, exposure=exposure)
        if exposure > setting.exposure and _would_do(rule, more, known, lacking):
            yield f"more exposure: {percent(exposure)}"
            break
    for text, coarser in _coarser(rule, known):
        if _would_do(coarser, setting, known, lacking):
            yield f'coarser: "{text}"'
            break


def _would_do(rule: Compared | Limited, setting: Setting, known: Known, lacking: Lacking) -> bool:
    cell = cell_of(rule, setting, known)
    return not isinstance(cell, str) and bool(_lasting(_sides(setting, cell, setting.blocks, lacking)))


def _blocks_needed(setting: Setting, cell: Cell, lacking: Lacking) -> int | None:
    """Blocks after which both sides are there for good, rounded up; None within 12 times the phase."""
    needed = _lasting(_sides(setting, cell, max(min(LONGER * setting.blocks, DAY), setting.blocks), lacking))
    return None if needed is None else STEP * math.ceil(max(needed, setting.blocks + 1) / STEP)


def _sides(setting: Setting, cell: Cell, blocks: int, lacking: Lacking) -> list[Array]:
    """By block: the share that is found while as bad as can be, and the share that is green while healthy; 1 is enough.

    Harm that is not found within four times the phase is not looked for any longer.
    """
    sides = []
    if lacking.harm:
        worst, tried = np.array([cell.most]), min(blocks, 4 * setting.blocks)
        holds = run(cell, harm(cell, (1, STREAMS)), setting.needed_harm, worst, STREAMS, tried, SEED).holds[0]
        found = np.maximum.accumulate(holds) / SURE
        sides.append(np.concatenate([found, np.full(blocks - tried, found[-1])]))
    if lacking.green:
        sides.append(healthy(cell, setting, blocks, STREAMS, SEED + 1).holds[0] / PROMOTED)
    return sides


def _lasting(sides: list[Array]) -> int | None:
    """The block after which every side stays at 1 or above; None when one does not at the end."""
    short = np.nonzero(np.min(sides, axis=0) < 1)[0]
    if not len(short):
        return 1
    return None if short[-1] == len(sides[0]) - 1 else int(short[-1]) + 2


def _coarser(rule: Compared | Limited, known: Known) -> Iterator[tuple[str, Compared | Limited]]:
    if isinstance(rule, NoWorseThanBaseline):
        for by in COARSER_BY:
            if by > rule.by:
                text = f"no worse than baseline by {percent(by)}"
                yield text, replace(rule, by=by, text=text)
    elif isinstance(rule, RateBelow):
        for times in COARSER_LIMIT:
            if rule.limit * times < 1:
                text = f"< {percent(rule.limit * times)}"
                yield text, replace(rule, limit=rule.limit * times, text=text)
    elif isinstance(rule, QuantileBelow) and rule.unit == "seconds" and known.latency:
        for edge in [edge for edge in known.latency.edges if edge > rule.limit][:3]:
            text = f"p{100 * rule.quantile:g} < {of_unit(edge, 'seconds').replace(' ', '')}"
            yield text, replace(rule, limit=edge, text=text)
