"""The review's tables: latency, error rates, key metrics, alerts, and what sources said. Cells are words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from canary.plan.model import Plan
from canary.ports import Arm
from canary.review import words
from canary.review.alerts import Alert
from canary.review.answers import Answers, Read
from canary.review.frame import AFTER, BESIDE
from canary.review.shown import Asked, error_measures, latency_measures, shown
from canary.review.sums import Sums

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
COLUMNS: tuple[tuple[str, str, Arm], ...] = (
    ("baseline", BESIDE, "baseline"),
    ("candidate", BESIDE, "canary"),
    ("since full", AFTER, "canary"),
)
QUANTILE_WORDS = ("p50", "p95")
MOST_SAID = 5


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have as many cells as there are columns. note: what a reader must know of all of them.

    of_texts: its cells are sentences, which do not stand side by side on a phone.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    of_texts: bool = False


SAME_MINUTES = "Baseline and candidate: the same minutes, while both had users. Since full: the candidate alone."


def tables(plan: Plan, counted: Sums, fired: Sequence[Alert], answers: Mapping[str, Read]) -> tuple[Table, ...]:
    """All that have a row."""
    every = [_latency(plan, counted), _errors(plan, counted), *_key_metrics(plan, counted)]
    every += [_alerts(fired), *_sources(plan, answers)]
    return tuple(table for table in every if table.rows)


def _latency(plan: Plan, counted: Sums) -> Table:
    rows = []
    for measure in latency_measures(plan):
        for name, quantile in QUANTILES:
            cells = [shown(counted, stage, arm, Asked(measure, None, quantile)) for _, stage, arm in COLUMNS]
            told = [cell.told("seconds") for cell in cells]
            change = words.NOTHING if any(c.beyond for c in cells[:2]) else words.change(cells[1].value, cells[0].value)
            rows.append((f"{_spaced(measure)} {name}", told[0], told[1], change, told[2]))
    columns = ("latency", "baseline", "candidate", "change", "since full")
    return Table("Latency before and after", columns, tuple(rows), SAME_MINUTES)


def _errors(plan: Plan, counted: Sums) -> Table:
    rows = tuple(
        (_spaced(m), *(_rate(counted, stage, arm, m) for _, stage, arm in COLUMNS)) for m in error_measures(plan)
    )
    return Table("Error rates", ("errors", *(name for name, _, _ in COLUMNS)), rows, SAME_MINUTES)


def _rate(counted: Sums, stage: str, arm: Arm, measure: str) -> str:
    found = counted.get(stage, measure, arm)
    rate = shown(counted, stage, arm, Asked(measure, None, "share")).told("share")
    if found is None or not found.tally.total:
        return rate
    return f"{rate} ({found.tally.bad:,.0f} of {found.tally.total:,.0f})"


def _key_metrics(plan: Plan, counted: Sums) -> Iterator[Table]:
    for group, metrics in plan.key_metrics.items():
        rows = []
        for metric in metrics:
            asked = Asked(metric.signal, metric.of, metric.shows)
            unit = words.unit_of(plan.signals[metric.signal], metric.shows, metric.of is not None)
            cells = [shown(counted, stage, arm, asked) for _, stage, arm in COLUMNS]
            name = f"{metric.name}, {metric.shows}" if metric.shows in QUANTILE_WORDS else metric.name
            rows.append((name, *(cell.told(unit) for cell in cells)))
        yield Table(_title(group), ("metric", *(name for name, _, _ in COLUMNS)), tuple(rows))


def _alerts(fired: Sequence[Alert]) -> Table:
    def told(alert: Alert) -> str:
        if not alert.hours:
            return "not measured"
        return f"{alert.fired} of {alert.hours} h" if alert.fired else f"no ({alert.hours} h)"

    by_rule: dict[tuple[str, str], dict[str, Alert]] = {}
    for alert in fired:
        by_rule.setdefault((alert.severity, alert.rule), {})[alert.stage] = alert
    rows = tuple((severity, rule, told(at[BESIDE]), told(at[AFTER])) for (severity, rule), at in by_rule.items())
    note = "; ".join(alert.reason for alert in fired if alert.fired)
    return Table("Alerts fired, by hour", ("severity", "alert", "canary", "since full"), rows, note)


def _sources(plan: Plan, answers: Mapping[str, Read]) -> Iterator[Table]:
    rows = [(_spaced(name), *_answered(answers.get(name))) for name in plan.sources]
    yield Table("What people said", ("source", "result", "answers", "left out"), tuple(rows), of_texts=True)


def _answered(said: Read | None) -> tuple[str, str, str]:
    if said is None:
        return "no source configured", words.NOTHING, ""
    if not isinstance(said, Answers):
        return "could not be read", words.NOTHING, said.why
    if said.mean is not None:
        told = f"mean {said.mean:.2f}"
    else:
        told = ", ".join(f"{text} ({number})" for text, number in said.most_said(MOST_SAID)) or words.NOTHING
    return told, f"{len(said.values):,}", said.left_out


def _title(name: str) -> str:
    told = _spaced(name)
    return told[0].upper() + told[1:]


def _spaced(name: str) -> str:
    return name.replace("_", " ")
