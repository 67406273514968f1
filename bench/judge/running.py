"""Every cell by every judge, on all cores; what is finished is kept in the out file."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import ValidationError

from bench.judge.cell import Bound, Errors, Latency
from bench.judge.decisions import Decisions
from bench.judge.kayenta import KAYENTA
from bench.judge.latency import LATENCY, histograms
from bench.judge.ours import BOUNDS, OURS, WORST_ALLOWED
from bench.judge.outcomes import Outcome, Result, outcome
from bench.judge.rivals import RIVALS
from bench.judge.scrapes import scraped
from canary.errors import BadUsage
from canary.judge.odds import Array

AnyCell: TypeAlias = Errors | Bound | Latency
AT_ONCE = 20_000
"""Pods simulated together; results depend on it, as on the seed."""


def runs_of(cell: AnyCell, reps: int) -> int:
    """reps where something must not happen: a healthy canary, or one at the limit itself; a quarter of them out of
    scope; a tenth where the canary is worse, and for latency."""
    if isinstance(cell, Latency) or not (_null(cell) or _at_the_limit(cell)):
        return max(reps // 10, 1)
    return reps if _in_scope(cell) else max(reps // 4, 1)


def _at_the_limit(cell: Errors | Bound) -> bool:
    if isinstance(cell, Bound):
        return bool(cell.bad == cell.limit)
    return cell.ratio == WORST_ALLOWED and not cell.onset


def result(cell: AnyCell, seed: int, reps: int) -> Result:
    """One cell. The same cell, seed and reps give the same numbers, whatever else is in the file."""
    runs, chunk = runs_of(cell, reps), max(AT_ONCE // sum(cell.arms), 1)
    decided: dict[str, list[Decisions]] = {}
    served: list[Array] = []
    for number, start in enumerate(range(0, runs, chunk)):
        draw = np.random.default_rng([seed, zlib.crc32(cell.title.encode()), number])
        judged, bad = _chunk(cell, draw, min(chunk, runs - start))
        served.append(bad)
        for name, decisions in judged.items():
            decided.setdefault(name, []).append(decisions)
    outcomes = tuple(outcome(name, each, served) for name, each in decided.items())
    return Result(cell=cell.title, null=_null(cell), as_bad=_as_bad(cell), in_scope=_in_scope(cell), outcomes=outcomes)


def _chunk(cell: AnyCell, draw: np.random.Generator, runs: int) -> tuple[dict[str, Decisions], Array]:
    if isinstance(cell, Latency):
        seen = histograms(cell, draw, runs)
        return {name: judge(cell, seen) for name, judge in LATENCY.items()}, seen.served
    slots = scraped(cell, draw, runs)
    judges = BOUNDS if isinstance(cell, Bound) else {**OURS, **RIVALS, **KAYENTA}
    return {name: judge(cell, slots) for name, judge in judges.items()}, slots.served


def _null(cell: AnyCell) -> bool:
    if isinstance(cell, Bound):
        return bool(cell.bad <= cell.limit)
    return cell.null if isinstance(cell, Errors) else bool(cell.slower <= cell.by)


def _as_bad(cell: AnyCell) -> bool:
    """Whether the canary is as bad as green says it is not."""
    if isinstance(cell, Bound):
        return bool(cell.bad >= cell.limit)
    if isinstance(cell, Latency):
        return bool(cell.slower >= cell.by > 0)
    return cell.ratio >= WORST_ALLOWED and not cell.onset


def _in_scope(cell: AnyCell) -> bool:
    return cell.in_scope if isinstance(cell, Errors) else True


class Kept:
    """The out file: seed, reps, and the results in the order in which they were finished."""

    def __init__(self, path: Path, seed: int, reps: int) -> None:
        self.path, self.seed, self.reps = path, seed, reps
        self.results = list(self._read())

    def _read(self) -> Iterator[Result]:
        if not self.path.exists():
            return
        try:
            data: dict[str, Any] = json.loads(self.path.read_text())
            if (data["seed"], data["reps"]) != (self.seed, self.reps):
                what = f"{self.path} holds results of seed {data['seed']} and {data['reps']} reps"
                raise BadUsage(what, "give another --out, or the same --seed and --reps to go on")
            yield from (Result.model_validate(each) for each in data["results"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as wrong:
            raise BadUsage(f"{self.path} holds no results of this benchmark", "give another --out") from wrong

    def add(self, new: Result) -> None:
        """Written at once, whole or not at all."""
        self.results.append(new)
        rows = ",\n".join(each.model_dump_json() for each in self.results)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(f'{{"seed": {self.seed}, "reps": {self.reps}, "results": [\n{rows}\n]}}\n')
        os.replace(beside, self.path)


def run(cells: Sequence[AnyCell], kept: Kept, workers: int) -> Iterator[Result]:
    """The cells that are not in the file yet, as they are finished."""
    there = {each.cell for each in kept.results}
    with ProcessPoolExecutor(workers) as pool:
        waited = [pool.submit(result, cell, kept.seed, kept.reps) for cell in cells if cell.title not in there]
        try:
            for done in as_completed(waited):
                kept.add(done.result())
                yield kept.results[-1]
        finally:
            pool.shutdown(cancel_futures=True)


def by_judge(results: Sequence[Result]) -> dict[str, list[tuple[Result, Outcome]]]:
    """Judge → its cells, in the order of the first appearance."""
    found: dict[str, list[tuple[Result, Outcome]]] = {}
    for each in results:
        for one in each.outcomes:
            found.setdefault(one.judge, []).append((each, one))
    return found
