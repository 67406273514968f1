"""The starvation guard: a hung canary has no errors, so every error rate would pass it.

Two things are looked at. A *shortfall*: the canary completed less than half of what it should have. *Silence*: it
completed nothing since much was due, at the start or later; a canary that hangs after twenty good minutes of
thirty has completed more than half all the same.

What was due comes from one of two sources:

- the requests that the target says it *sent* to the canary, settled ones only: those sent before the newest
  measured block, because later ones may be in flight (a healthy request may take about 15 s of plan time). Blocks
  in which the metrics could not be read settle nothing: broken telemetry starves nobody. Used when the target
  counted in at least half of the blocks;
- else the observed share alone, from what the baseline completed. Users are sticky, so a few of them can take a
  quiet service's whole canary away with them, and no count can tell that from a hang. The floors are therefore
  far higher (bench/starvation.py measures both), and below them the guard says that it cannot tell, which
  promotes nothing.

Either is compared at the canary's own scrapes: a canary that is scraped once a minute is not silent in between. Only
one that was not scraped for AWAY blocks counts as if it had been, and had completed nothing.

With neither (no share seen, or everybody on the canary) the guard only asks that anything completes.
"""

from __future__ import annotations

from typing import NamedTuple

from canary.judge.block import NONE
from canary.judge.evidence import Evidence
from canary.judge.flow import Flow
from canary.judge.verdict import Outcome, Verdict
from canary.judge.words import count

RULE = "starvation"
SCRAPES = 3
"""Measured blocks before which the guard does not fail."""
AWAY = 6
"""Measured blocks without a sample of the canary after which it counts as silent: one and a half of Prometheus's
default scrape interval of a minute."""


class Floors(NamedTuple):
    """What must have been due before the guard may fail: for silence, and for a shortfall. Requests."""

    silence: float
    shortfall: float


ROUTED = Floors(30, 100)
WEIGHT = Floors(1_500, 10_000)


class Demand(NamedTuple):
    """Requests that the canary should have completed, and did.

    silent: requests due since it last completed anything. blocks, silent_blocks: measured blocks in all, and since
    it last completed anything.
    """

    due: float
    done: float
    silent: float
    blocks: int
    silent_blocks: int

    def short(self) -> bool:
        return self.done < self.due / 2

    def hushed(self, floor: float) -> bool:
        return self.silent >= floor and self.silent_blocks >= SCRAPES

    def starved(self, floors: Floors) -> bool:
        """Whether the guard fails."""
        shortfall = self.blocks >= SCRAPES and self.due >= floors.shortfall and self.short()
        return shortfall or self.hushed(floors.silence)

    def doubtful(self) -> bool:
        """Whether it may not pass: with requests that were sent it would fail, or soon."""
        return self.short() or self.hushed(ROUTED.silence)


def demand(evidence: Evidence, traffic: str) -> tuple[Demand, Floors]:
    """What the guard judges, from the better source, and that source's floors."""
    flow, sent, measured = evidence.flows.get(traffic, Flow()), evidence.sent, evidence.measured
    if measured - flow.sampled_at >= AWAY:
        flow = flow.at_once(sent, measured)
    quiet = measured - flow.seen_at
    if sent.blocks and 2 * sent.blocks >= evidence.blocks:
        done = (evidence.tally(traffic, "canary") or NONE).total
        return Demand(flow.settled, done, max(flow.settled - flow.seen_sent, 0.0), measured, quiet), ROUTED
    return Demand(flow.weighed, flow.done, flow.silent, measured, quiet), WEIGHT


def starvation(evidence: Evidence, traffic: str) -> Verdict:
    """The guard's verdict over `traffic`, the measure whose total counts every finished request."""
    found, floors = demand(evidence, traffic)
    tally = evidence.tally(traffic, "canary") or NONE
    outcome = _outcome(found, floors, tally.total)
    done, limit = (found.done, found.due / 2) if found.due else (tally.total, None)
    reason = f"{traffic}: {_reason(outcome, found, floors, done)}"
    return Verdict(RULE, traffic, outcome, done, limit, "requests", tally, None, reason)


def _outcome(found: Demand, floors: Floors, completed: float) -> Outcome:
    if found.starved(floors):
        return Outcome.FAIL
    if not completed:
        return Outcome.NO_DATA
    return Outcome.UNDECIDED if found.doubtful() else Outcome.PASS


def _reason(outcome: Outcome, found: Demand, floors: Floors, done: float) -> str:
    if not found.due:
        return f"the canary completed {count(done)} requests, and nothing tells how many it should have"
    due = count(round(found.due))
    source = f"{due} were sent to it and had time" if floors is ROUTED else f"its share of users lets expect {due}"
    said = f"the canary completed {count(done)} requests; {source}"
    if not found.short() and outcome is not Outcome.PASS:
        said = f"the canary fell silent, {count(round(found.silent))} requests were due since; in all {said}"
    if outcome is Outcome.FAIL:
        return f"{said}: it is starved, hangs or is not measured"
    return said if outcome is Outcome.PASS else f"{said}: too few to tell a starved canary from a quiet one"
