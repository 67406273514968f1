"""The report after a rollout: the three lines that matter, the KPIs, the tables, and what the plots show.

Pure: what was measured, answers and the time come in. What was not measured has no number anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from canary.plan.model import Plan
from canary.plan.units import duration
from canary.review import words
from canary.review.alerts import Alert, alerts
from canary.review.answers import Read
from canary.review.curves import Curve, curves
from canary.review.frame import AFTER, BESIDE, Frames
from canary.review.kpis import KpiRow, Measured, Said, kpi_rows
from canary.review.shown import Asked, latency_measures, shown
from canary.review.sums import Sums, sums
from canary.review.tables import Table, tables
from canary.rollout.state import State

NAMED = 3


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a page, an artifact or a message shows. Times are unix seconds."""

    rollout: str
    title: str
    verdict: str
    lines: tuple[str, str, str]
    kpis: tuple[KpiRow, ...]
    tables: tuple[Table, ...]
    curves: tuple[Curve, ...]
    measured: str
    full_at: float | None
    made_at: float


def report(plan: Plan, state: State, found: Frames, answers: Mapping[str, Read], now: float) -> Report:
    """A rollout's review at the time `now`, from what its journal holds and what its sources said."""
    counted, fired = sums(found), alerts(plan, found)
    kpis = kpi_rows(Measured(plan, state, found, answers, now))
    lines = (_done(state, found, now), _kpis(kpis), _met(plan, found, counted, fired))
    return Report(
        rollout=state.rollout,
        title=f"{state.service} {state.stable_version} → {state.version}",
        verdict=_verdict(state, kpis, fired),
        lines=lines,
        kpis=kpis,
        tables=tables(plan, counted, fired, answers),
        curves=curves(plan, found),
        measured=_measured(found),
        full_at=found.full_at,
        made_at=now,
    )


def _verdict(state: State, kpis: Sequence[KpiRow], fired: Sequence[Alert]) -> str:
    """The one thing to read: how it ended, and whether something needs a person."""
    outcome = state.ended.outcome.replace("_", " ").upper() if state.ended else "UNDER WAY"
    missed = sum(row.said is Said.MISSED for row in kpis)
    critical = sum(bool(alert.fired) for alert in fired if alert.severity == "critical" and alert.stage == AFTER)
    wrong = [f"{words.counted(missed, 'KPI')} missed"] * bool(missed)
    wrong += [f"{words.counted(critical, 'critical alert')} fired"] * bool(critical)
    return f"{outcome}: {' and '.join(wrong)}" if wrong else outcome


def _done(state: State, found: Frames, now: float) -> str:
    outcome = state.ended.outcome.replace("_", " ") if state.ended else "under way"
    took = f" in {duration(round(state.ended_at - state.started_at))}" if state.ended else ""
    since = f", {duration(round(max(0.0, now - found.full_at)))} after full exposure" if found.full_at else ""
    passed = ", ".join(state.passed) or "none"
    without = f" without {', '.join(state.features_off)}" if state.features_off else ""
    return f"{state.service} {state.version}: {outcome}{without}{took}, phases passed: {passed}{since}"


def _kpis(rows: Sequence[KpiRow]) -> str:
    if not rows:
        return "the plan names no KPIs"
    counts = [(said, sum(row.said is said for row in rows)) for said in Said]
    told = ", ".join(f"{count} {said.lower()}" for said, count in counts if count)
    missed = [f"{row.name} {row.value} (must be {row.limit})" for row in rows if row.said is Said.MISSED]
    more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    return f"KPIs: {told}" + (f"; missed: {', '.join(missed[:NAMED])}{more}" if missed else "")


def _met(plan: Plan, found: Frames, counted: Sums, fired: Sequence[Alert]) -> str:
    """What users met, the latency, and the alerts."""
    parts = [f"users of the candidate met {found.bad_met:,.0f} bad requests or errors"]
    for measure in latency_measures(plan)[:1]:
        ours, theirs = (shown(counted, BESIDE, arm, Asked(measure, None, 0.95)) for arm in ("canary", "baseline"))
        if ours.value is not None:
            name = measure.replace("_", " ")
            over = f" ({words.change(ours.value, theirs.value)} over the baseline)" if theirs.value else ""
            parts.append(f"{name} p95 {ours.told('seconds')}{over}")
    if fired:
        names = list(dict.fromkeys(f"{alert.severity} {alert.rule}" for alert in fired if alert.fired))
        parts.append(f"alerts: {', '.join(names) or 'none fired'}")
    return "; ".join(parts)


def _measured(found: Frames) -> str:
    """How much of it rests on what."""
    held = found.blocks[found.blocks["held"]]
    if held.empty:
        return "nothing was measured"
    first, last, blocks = held["at"].iloc[0] - held["span"].iloc[0], found.blocks["at"].iloc[-1], len(found.blocks)
    span = duration(round(found.covered(BESIDE) + found.covered(AFTER)))
    return f"{blocks:,} blocks over {span}, from {words.moment(first)} to {words.moment(last)}"
