"""What one tick of a soak costs the conductor's processor, without the network.

    python -m bench.tick [--runs N] [--json OUT]

judge: the packaged phase1 plan's canary. One block (both arms, every measure, latency in 12 buckets) is folded into
       the evidence of a phase of --runs blocks, and every rule of the phase is judged: criteria, triggers
       and the guard against starvation. Per criterion: that time, divided by the number of rules. Aim: 5 ms.
tick:  the whole `Soak.tick` on fakes: looks at three targets, reads the metrics, folds, judges, journals in memory
       (from which the state is folded again), and waits in virtual time, whose bookkeeping is in the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path

from canary.judge.evidence import Block, Evidence
from canary.judge.verdict import Outcome
from canary.plan.load import load_plan
from canary.plan.model import Phase, Plan
from canary.ports import Arm, Increment, Journal, NewEntry, Release, Scrape, StoredPlan
from canary.rollout import events as e
from canary.rollout.adapters import Adapters
from canary.rollout.conducting import Seat, Start, Stores, begin, conducting, taking
from canary.rollout.conductor import Conductor
from canary.rollout.judging import judge_of
from canary.testing.fakes import (
    FakeBrowser,
    FakeClock,
    FakeEvidence,
    FakeMetrics,
    FakeNotifier,
    FakePlatform,
    FakeProbe,
    FakeTarget,
    MemoryShelf,
)
from canary.testing.journal import MemoryJournal, MemoryVault

BLOCK = 15.0
SHARE = 0.1
EDGES = (0.005, 0.01, 0.015, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0, 2.0, float("inf"))
FAST = 3


@dataclass(frozen=True)
class Row:
    """One thing measured, in milliseconds."""

    what: str
    runs: int
    median: float
    most: float


class NoSpool:
    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None:
        raise AssertionError("the journal in memory never fails")

    async def flush(self, journal: Journal) -> None:
        """Nothing ever waits."""


def packaged() -> tuple[Plan, StoredPlan]:
    with as_file(files("canary.plans") / "phase1.yaml") as path:
        loaded = load_plan(path)
    return loaded.plan, StoredPlan(loaded.hash, loaded.plan.name, loaded.plan.service, loaded.body)


def increments(plan: Plan, phase: Phase) -> Mapping[str, Mapping[Arm, Increment]]:
    """A healthy block of about 600 requests a second."""
    return {measure: {"canary": counted(900), "baseline": counted(8100)} for measure in plan.measures(phase)}


def counted(total: float) -> Increment:
    """Everything is faster than 15 ms."""
    return Increment(total, 0.0, {edge: total if at >= FAST else 0.0 for at, edge in enumerate(EDGES[:-1], 1)})


def judging(plan: Plan, phase: Phase, runs: int) -> list[float]:
    """Milliseconds of each fold and verdict, over a growing phase."""
    judge, evidence, found = judge_of(plan, phase), Evidence(), list[float]()
    measured, judged = increments(plan, phase), frozenset(plan.judged(phase))
    for at in range(1, runs + 1):
        scrapes = [Scrape(at * BLOCK, measured)]
        block = Block.of(at * BLOCK, scrapes, SHARE, {"canary": 900.0, "baseline": 8100.0}, judged)
        began = time.perf_counter()
        evidence = evidence.add(block)
        verdict = judge.judge(phase.criteria, phase.triggers, evidence, traffic=plan.traffic)
        found.append(1000 * (time.perf_counter() - began))
        if verdict.outcome is Outcome.FAIL:
            raise AssertionError(verdict.reason)
    return found


def adapters(plan: Plan, clock: FakeClock) -> tuple[Adapters, FakeMetrics]:
    metrics = FakeMetrics()
    targets = {name: FakeTarget(FakePlatform(clock, "2.0.9")) for name in plan.targets}
    told = {ref: FakeNotifier() for ref in (*plan.notify.updates, *plan.notify.page)}
    updates, page = ({ref: told[ref] for ref in refs} for refs in (plan.notify.updates, plan.notify.page))
    return Adapters(targets, metrics, FakeProbe(), FakeBrowser(), FakeEvidence(), updates, page, {}, {}), metrics


async def soaking(seat: Seat, conductor: Conductor, phase: Phase) -> None:
    """As if everything before the soak had happened."""
    targets = tuple(seat.plan.targets)
    release = {name: e.Identities(candidate="2.1.0", stable="2.0.9") for name in targets}
    fixed = e.PreflightPassed(release=release, stable_version="2.0.9", sealed=())
    await seat.record.tell(fixed, e.PhaseStarted(phase=phase.name))
    for target in conductor.adapters.targets.values():
        await target.prepare(Release("2.1.0", "2.0.9"))
    for target in conductor.adapters.targets.values():
        await target.expose(Release("2.1.0", "2.0.9"), SHARE, 1)
    looked = {name: e.Shown(answer="yes", observed=SHARE, detail="") for name in targets}
    await seat.record.tell(
        e.ExposureIntended(share=SHARE, targets=targets, why="bench"),
        e.ExposureObserved(share=SHARE, targets=looked),
        e.SoakStarted(phase=phase.name, due=seat.record.clock.now() + 1e9),
    )


async def ticking(plan: Plan, stored: StoredPlan, phase: Phase, runs: int) -> list[float]:
    """Milliseconds of each whole tick."""
    clock, journal, found = FakeClock(), MemoryJournal(), list[float]()
    stores = Stores(journal, MemoryVault(), NoSpool(), clock, MemoryShelf())
    fakes, metrics = adapters(plan, clock)
    await journal.store_plan(stored)
    await begin(stores, Start("bench", stored.hash, "2.1.0", "bench", "bench"))
    async with taking(stores, "bench") as seat, conducting(seat, fakes) as conductor:
        await soaking(seat, conductor, phase)
        for _ in range(runs):
            metrics.scrapes[:] = [Scrape(clock.now() // BLOCK * BLOCK, increments(plan, phase))]
            began = time.perf_counter()
            await conductor.soak.tick()
            found.append(1000 * (time.perf_counter() - began))
        if conductor.state.evidence.blocks < runs - 1 or conductor.state.rollback:
            raise AssertionError(f"only {conductor.state.evidence.blocks} blocks of {runs} were judged")
    return found


def row(what: str, found: Sequence[float]) -> Row:
    return Row(what, len(found), statistics.median(found), max(found))


def measured(runs: int) -> list[Row]:
    plan, stored = packaged()
    phase = next(phase for phase in plan.phases if phase.criteria)
    whole = judging(plan, phase, runs)
    rules = len(phase.criteria) + len(phase.triggers)
    return [
        row("fold and judge, a rule", [each / rules for each in whole]),
        row(f"fold and judge, all {rules} rules", whole),
        row("whole tick on fakes", asyncio.run(ticking(plan, stored, phase, runs))),
    ]


def shown(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    yield "what                          runs  median ms   max ms"
    for each in rows:
        yield f"{each.what:28}  {each.runs:4}  {each.median:9.3f}  {each.most:7.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tick", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=240, help="blocks; 120 are 30 minutes")
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    asked = parser.parse_args()
    rows = measured(asked.runs)
    print("\n".join(shown(rows)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
