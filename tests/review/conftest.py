"""Journals of whole rollouts, made of blocks that can be reckoned by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from canary.judge.block import Block
from canary.plan.load import load_plan
from canary.plan.model import Plan
from canary.ports import Arm, Entry, Increment
from canary.review.answers import Read
from canary.review.frame import Columns, Frames
from canary.review.reading import Reading
from canary.review.report import Report, report
from canary.rollout import events as e
from canary.rollout.state import State

START = 1_800_000_000.0
MINUTES, HOUR = 60.0, 3600.0
Signals = Mapping[str, Mapping[Arm, Increment]]


def times(total: float, fast: float, *, edges: tuple[float, float] = (0.1, 0.2)) -> Increment:
    """`fast` of `total` at or below the first edge, all at or below the second."""
    return Increment(total, 0.0, {edges[0]: fast, edges[1]: total})


def read_from(entries: Iterable[Entry]) -> Reading:
    """What is read from these lines."""
    told = Reading(State("r1"))
    for entry in entries:
        told.add(entry)
    return told


def frames(entries: Iterable[Entry]) -> Frames:
    """What these lines counted; only the blocks and what bounds them, so that a line may stand without its rollout."""
    columns = Columns()
    for entry in entries:
        columns.add(entry)
    return columns.frames()


@dataclass
class Story:
    """A rollout's journal as it is written: 30 min beside the baseline, then everybody."""

    plan: Plan
    entries: list[Entry] = field(default_factory=list)
    at: float = START

    def tell(self, event: e.Event) -> None:
        new = event.entry(self.at)
        # Through text, as a journal's lines are.
        data = json.loads(json.dumps(dict(new.data)))
        self.entries.append(Entry("r1", len(self.entries) + 1, new.at, 1, new.type, data))

    def begin(self) -> Story:
        self.tell(
            e.RolloutStarted(
                plan=self.plan.name,
                plan_hash="a" * 64,
                service=self.plan.service,
                version="2.1.0",
                requested_by="Ann",
                how="a test",
            )
        )
        release = {"api": e.Identities(candidate="2.1.0", stable="2.0.9")}
        self.tell(e.PreflightPassed(release=release, stable_version="2.0.9", sealed=()))
        self.tell(e.PhaseStarted(phase="canary"))
        self.tell(e.SoakStarted(phase="canary", due=self.at + 30 * MINUTES))
        return self

    def block(self, seconds: float, signals: Signals) -> Story:
        """A block that spans so many seconds; what is not judged in the canary is watched."""
        self.at += seconds
        judged = self.plan.judged(next(phase for phase in self.plan.phases if phase.name == "canary"))
        increments = {name: by_arm for name, by_arm in signals.items() if name in judged}
        watched = {name: by_arm for name, by_arm in signals.items() if name not in judged}
        block = Block(self.at, increments, 1, 0.1, None, watched)
        self.tell(e.Sampled(block=block.to_data()))
        return self

    def full(self) -> Story:
        """Everybody is on the candidate, and the rollout is promoted."""
        self.tell(e.PhasePassed(phase="canary", reason="all 7 rules hold"))
        shown = {"api": e.Shown(answer="yes", observed=1.0, detail="")}
        self.tell(e.ExposureObserved(share=1.0, targets=shown))
        for after in self.plan.review.after:
            self.tell(e.ReviewDue(offset=after, due=self.at + after))
        self.tell(e.RolloutEnded(outcome="promoted", phase="full", reason="every phase has passed", verified=True))
        return self

    def report(self, answers: Mapping[str, Read] | None = None, now: float | None = None) -> Report:
        told = read_from(self.entries)
        now = self.at if now is None else now
        return report(self.plan, told.state, told.columns.frames(), answers or {}, now)


@pytest.fixture
def phase1() -> Plan:
    """The runbook."""
    return load_plan(Path(__file__).parents[2] / "plans" / "phase1.yaml").plan


@pytest.fixture
def story(phase1: Plan) -> Story:
    """A journal that has begun the canary of the runbook."""
    return Story(phase1).begin()


@pytest.fixture
def promoted(story: Story) -> Callable[..., Story]:
    """Half an hour beside the baseline, then so many hours of five-minute blocks for everybody."""

    def tell(beside: Signals, after: Signals, hours: float = 24.0) -> Story:
        for _ in range(120):
            story.block(15, beside)
        story.full()
        for _ in range(round(12 * hours)):
            story.block(300, after)
        return story

    return tell


@pytest.fixture
def both() -> Callable[[Increment, Increment], Mapping[Arm, Increment]]:
    """Both arms of one measure."""
    return lambda canary, baseline: {"canary": canary, "baseline": baseline}


def cells(report: Report, title: str) -> dict[str, Sequence[str]]:
    """First cell → the others, of the table with that title."""
    (table,) = [table for table in report.tables if table.title == title]
    return {row[0]: row[1:] for row in table.rows}


@pytest.fixture
def table() -> Callable[[Report, str], dict[str, Sequence[str]]]:
    return cells


def one(rows: Iterable[Any], name: str) -> Any:
    (found,) = [row for row in rows if row.name == name]
    return found


@pytest.fixture
def kpi() -> Callable[[Report, str], Any]:
    """A KPI's row by name."""
    return lambda report, name: one(report.kpis, name)
