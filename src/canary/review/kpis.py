"""KPIs: value, limit, verdict and sample size. Nothing that was not measured has a number or is MET."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from canary.plan.model import Kpi, Plan
from canary.plan.units import duration
from canary.review import words
from canary.review.alerts import alerts_since_full
from canary.review.answers import Read, Unread
from canary.review.frame import AFTER, BESIDE, Frames
from canary.review.shown import Asked, Shown, shown
from canary.review.sums import Sums, sums
from canary.rollout.state import State

LEAST = 100
"""Samples below which a share or quantile is noise; each arm needs them in a comparison."""
COVERED = 0.9
"""The part of the time since full exposure that must be measured before silence means that nothing fired."""


class Said(StrEnum):
    """MET, MISSED, or why it cannot be said."""

    MET = "MET"
    MISSED = "MISSED"
    NO_DATA = "NO DATA"
    NO_SOURCE = "NO SOURCE"
    NOT_YET = "NOT YET"


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One line of the KPI table, in words. reason: what the reader must know to trust it; may be empty."""

    name: str
    value: str
    limit: str
    said: Said
    samples: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What KPIs are computed from, and when."""

    plan: Plan
    state: State
    frames: Frames
    answers: Mapping[str, Read]
    now: float

    def due(self, kpi: Kpi) -> float | None:
        """When the KPI is decided, unix seconds; None when everybody never had the candidate."""
        if self.frames.full_at is None:
            return None
        after = self.plan.review.after[kpi.at_review - 1]
        return self.state.reviews.get(after, self.frames.full_at + after)


def kpi_rows(measured: Measured) -> tuple[KpiRow, ...]:
    """In the plan's order."""
    known: dict[float | None, tuple[Frames, Sums]] = {}
    rows = []
    for kpi in measured.plan.kpis:
        due = measured.due(kpi)
        if due not in known:
            cut = measured.frames if due is None else measured.frames.until(due)
            known[due] = (cut, sums(cut))
        rows.append(_row(measured, kpi, due, *known[due]))
    return tuple(rows)


def _row(measured: Measured, kpi: Kpi, due: float | None, cut: Frames, counted: Sums) -> KpiRow:
    if kpi.rollout:
        return _rollout(kpi, measured.state)
    if kpi.no_alert:
        row = _silence(measured, kpi, due, cut)
    elif kpi.source:
        row = _source(kpi, measured.answers)
    else:
        row = _signal(measured.plan, kpi, counted)
    if due is None:
        return _with(row, Said.NO_DATA, "everybody never had this version")
    final = kpi.no_alert is not None and row.said is Said.MISSED
    if measured.now < due and not final and row.said is not Said.NO_SOURCE:
        after = duration(measured.plan.review.after[kpi.at_review - 1])
        return _with(row, Said.NOT_YET, f"decided {after} after full exposure{_so_far(row)}")
    return row


def _with(row: KpiRow, said: Said, reason: str) -> KpiRow:
    return KpiRow(row.name, row.value, row.limit, said, row.samples, reason)


def _so_far(row: KpiRow) -> str:
    return f"; so far it would be {row.said}" if row.said in (Said.MET, Said.MISSED) else ""


def _rollout(kpi: Kpi, state: State) -> KpiRow:
    """Met when every phase passed by its evidence alone."""
    ended, by_hand = state.ended, state.overridden
    passed = f"{len(state.passed)} phases passed"
    if by_hand:
        return KpiRow(kpi.name, passed, "all by evidence", Said.MISSED, "1", f"{', '.join(by_hand)} passed by a person")
    if ended is None:
        said = Said.MET if state.at_full else Said.NOT_YET
        return KpiRow(kpi.name, passed, "promoted", said, "1")
    said = Said.MET if ended.outcome == "promoted" else Said.MISSED
    return KpiRow(
        kpi.name, ended.outcome.replace("_", " "), "promoted", said, "1", "" if said is Said.MET else ended.reason
    )


def _silence(measured: Measured, kpi: Kpi, due: float | None, cut: Frames) -> KpiRow:
    """No alert since full exposure. Without measurements of that time nobody knows."""
    assert kpi.no_alert is not None
    after = alerts_since_full(measured.plan, cut, kpi.no_alert)
    fired = [alert for alert in after if alert.fired]
    limit = f"no {kpi.no_alert} alert"
    covered, full = cut.covered(AFTER), measured.frames.full_at
    wanted = 0.0 if full is None or due is None else min(due, measured.now) - full
    part = min(1.0, covered / wanted) if wanted > 0 else 0.0
    told = f"{words.value(part, 'share')} of the time measured"
    if fired:
        return KpiRow(kpi.name, f"{len(fired)} fired", limit, Said.MISSED, told, fired[0].reason)
    if part < COVERED or not all(alert.hours for alert in after):
        return KpiRow(kpi.name, words.NOTHING, limit, Said.NO_DATA, told, "too little was measured since full exposure")
    return KpiRow(kpi.name, "0 fired", limit, Said.MET, told)


def _source(kpi: Kpi, answers: Mapping[str, Read]) -> KpiRow:
    said, limit = answers.get(kpi.source or ""), kpi.must.text if kpi.must else ""
    if said is None:
        return KpiRow(kpi.name, words.NOTHING, limit, Said.NO_SOURCE, "0", f"no source configured for {kpi.source}")
    if isinstance(said, Unread):
        return KpiRow(kpi.name, words.NOTHING, limit, Said.NO_DATA, "0", said.why)
    count = f"{len(said.values):,} answers"
    if said.mean is None or kpi.must is None:
        return KpiRow(kpi.name, words.NOTHING, limit, Said.NO_DATA, count, said.left_out)
    verdict = Said.MET if kpi.must.met(said.mean) else Said.MISSED
    return KpiRow(kpi.name, f"{said.mean:.2f}", limit, verdict, count, said.left_out)


def _signal(plan: Plan, kpi: Kpi, counted: Sums) -> KpiRow:
    must, signal = kpi.must, plan.signals[kpi.signal or ""]
    assert must is not None
    shows: str | float = must.quantile or {"rate": "share", "frequency": "per_hour"}.get(signal.is_a, "last")
    asked = Asked(kpi.signal or "", kpi.of, shows)
    unit = words.unit_of(signal, str(shows), kpi.of is not None)
    if must.against:
        pair = (shown(counted, BESIDE, "canary", asked), shown(counted, BESIDE, "baseline", asked))
        return _compared(kpi, pair, unit)
    now = shown(counted, AFTER, "canary", asked)
    return _held(kpi, now, unit, LEAST if signal.is_a in ("rate", "times", "ratios") else 0)


def _held(kpi: Kpi, now: Shown, unit: str, least: int) -> KpiRow:
    assert kpi.must is not None
    samples = words.value(now.samples, "number")
    told = now.told(unit)
    if now.value is None or now.samples < least:
        why = f"{least} samples are needed" if now.present else "nothing of it was measured since full exposure"
        return KpiRow(kpi.name, told, kpi.must.text, Said.NO_DATA, samples, why)
    if now.beyond and kpi.must.compare.startswith("<") and kpi.must.met(now.value):
        why = "the last bucket edge lies below the limit, so nobody can tell"
        return KpiRow(kpi.name, told, kpi.must.text, Said.NO_DATA, samples, why)
    said = Said.MET if kpi.must.met(now.value) else Said.MISSED
    return KpiRow(kpi.name, told, kpi.must.text, said, samples)


def _compared(kpi: Kpi, pair: tuple[Shown, Shown], unit: str) -> KpiRow:
    """Both arms in the same minutes, while both had users."""
    assert kpi.must is not None
    ours, theirs = pair
    samples = f"{words.value(ours.samples, 'number')} and {words.value(theirs.samples, 'number')}"
    told = f"{ours.told(unit)}, baseline {theirs.told(unit)}"
    few = min(ours.samples, theirs.samples) < LEAST
    if ours.value is None or not theirs.value or few or ours.beyond or theirs.beyond:
        why = f"each arm needs {LEAST} samples within its buckets while both have users"
        return KpiRow(kpi.name, told, kpi.must.text, Said.NO_DATA, samples, why)
    over = ours.value / theirs.value - 1
    said = Said.MET if kpi.must.met(over if kpi.must.against == "over" else -over) else Said.MISSED
    return KpiRow(kpi.name, words.change(ours.value, theirs.value), kpi.must.text, said, samples, told)
