"""A journal of this machine's settings, on a temporary file, with a rollout told line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from canary.cli.main import app
from canary.journal.store import SqlJournal, open_journal
from canary.judge.block import Tally
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.ports import NewEntry, StoredPlan
from canary.rollout import events as e

START = 1_800_000_000.0
HASH = "a" * 64
SPRING: dict[str, Any] = json.loads((Path(__file__).parents[1] / "spring.json").read_text())
STAGING, CANARY, FULL = SPRING["phases"]
PLAN = {**SPRING, "time_scale": 10, "phases": [STAGING, {**CANARY, "triggers": [{"errors": "any"}]}, FULL]}


@dataclass
class Shop:
    """Events to tell, in the order of a rollout of `shop`."""

    started: e.Event = field(
        default_factory=lambda: e.RolloutStarted(
            plan="spring", plan_hash=HASH, service="shop", version="2.0.0", requested_by="Ann", how="a test"
        )
    )

    def until_canary(self) -> list[e.Event]:
        """Preflight and staging are over, both have approved, and every target shows 10 %."""
        api = e.Identities(candidate="2.0.0", stable="1.0.0")
        return [
            self.started,
            e.ConductorTook(holder="host:1", epoch=1, lease_seconds=20.0),
            e.PreflightPassed(release={"api": api, "web": api}, stable_version="1.0.0", sealed=()),
            e.PhaseStarted(phase="staging"),
            e.SoakStarted(phase="staging", due=START + 60),
            e.CheckObserved(name="home", outcome="passed", detail="200"),
            e.ChecksLooked(phase="staging", round=1, passed=1, failed=()),
            e.PhasePassed(phase="staging", reason="1 checks passed"),
            e.PhaseStarted(phase="canary"),
            e.ApprovalAsked(phase="canary", roles=("owner", "lead"), due=START + 360, subject="s"),
            self.yes("owner", "Olga"),
            self.yes("lead", "Lars", proven=True),
            e.ExposureIntended(share=0.1, targets=("api", "web"), why="canary"),
            self.shows(0.1, 0.1),
            e.SoakStarted(phase="canary", due=START + 180),
        ]

    @staticmethod
    def yes(role: str, by: str, proven: bool = False) -> e.Event:
        return e.ApprovalGiven(role=role, by=by, how="Slack", reason="fine", subject="s", proven=proven)

    @staticmethod
    def shows(asked: float, web: float | None) -> e.Event:
        """`api` shows what was asked, `web` what is said."""
        api = e.Shown(answer="yes", observed=asked, detail="as asked")
        answer = "cannot tell" if web is None else "yes" if web == asked else "no"
        return e.ExposureObserved(
            share=asked, targets={"api": api, "web": e.Shown(answer=answer, observed=web, detail="seen")}
        )

    @staticmethod
    def judged(bad: float, total: float = 2000.0) -> e.Event:
        """The plan's criterion and trigger, and the judge's guard, after `bad` of `total` requests."""
        tally, share = Tally(total, bad), bad / total
        outcome = Outcome.PASS if share < 0.01 else Outcome.FAIL
        verdicts = [
            Verdict("< 1%", "errors", outcome, share, 0.01, "share", tally, None, f"errors {share:.1%}"),
            Verdict("any", "errors", Outcome.PASS, 0.0, 0.0, "events", tally, None, "errors: none"),
            Verdict("starvation", "errors", Outcome.PASS, total, 10.0, "requests", tally, None, "it is served"),
        ]
        return e.Judged(phase="canary", verdict=PhaseVerdict.of(verdicts).to_data())


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def plan() -> StoredPlan:
    return StoredPlan(HASH, "spring", "shop", json.dumps(PLAN))


@dataclass
class Desk:
    """A machine of our own: its journal's address, and commands typed on it."""

    url: str
    plan: StoredPlan

    def tell(self, rollout: str, events: Sequence[e.Event | NewEntry], at: float = START) -> None:
        """One line a second, behind what is journaled."""

        async def work(journal: SqlJournal) -> None:
            await journal.store_plan(self.plan)
            after = len(await journal.read(rollout))
            lines = [x if isinstance(x, NewEntry) else x.entry(at + n) for n, x in enumerate(events)]
            await journal.append(rollout, after, lines)

        self.with_journal(work)

    def with_journal(self, work: Callable[[SqlJournal], Any]) -> Any:
        """The answer of a coroutine function, given the opened journal."""

        async def run() -> Any:
            journal = open_journal(self.url)
            try:
                return await work(journal)
            finally:
                await journal.close()

        return asyncio.run(run())

    def canary(self, *arguments: str) -> Result:
        """What `canary …` answers, without a terminal. An error of ours is its `exception`."""
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: StoredPlan) -> Desk:
    url = f"sqlite+aiosqlite:///{tmp_path / 'journal.db'}"
    monkeypatch.setenv("CANARY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CANARY_JOURNAL_URL", url)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return Desk(url, plan)
