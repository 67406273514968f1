# ruff: noqa: E501  (one line per case reads better than three)
"""What a plan watches and reports: key metrics, alerts, KPIs, sources; and what it cannot ask of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import PlanError
from canary.plan.load import load_plan, parse_plan
from canary.plan.model import Plan, QuantileAbove, RatioBelow, Source
from canary.plan.must import must
from canary.plan.words import review_in_words

Write = Callable[[dict[str, Any]], Path]
SIGNALS = {
    "signals.clicks": {"counter": "clicks_total"},
    "signals.memory": {"gauge": "memory_bytes"},
    "signals.seen": {"gauge": "admins_seen"},
    "signals.sure": {"histogram": "confidence", "unit": "ratio"},
}
WATCHING: dict[str, Any] = {
    **SIGNALS,
    "key_metrics": {"use": [{"name": "Clicks", "signal": "clicks", "shows": "per_hour"}]},
    "alerts": {"critical": [{"errors": "any", "on": "features"}], "warning": [{"sure": "p10 < 0.5"}]},
    "sources": {"survey": {}, "votes": {"values": "text"}},
    "kpis": [
        {"name": "Done", "rollout": "promoted"},
        {"name": "Calm", "no_alert": "critical"},
        {"name": "Memory", "signal": "memory", "must": "< 1000000"},
        {"name": "Liked", "source": "survey", "must": "> 4.0", "at_review": 2},
    ],
}


def kpi(**fields: Any) -> dict[str, Any]:
    return {"kpis.2": {"name": "It", **fields}}


def metric(**fields: Any) -> dict[str, Any]:
    return {"key_metrics": {"use": [{"name": "It", **fields}]}}


CASES: list[tuple[dict[str, Any], str]] = [
    (metric(signal="click", shows="per_hour"), "key_metrics.use[0].signal: unknown signal 'click'; valid values: errors, latency, ui, clicks, memory, seen, sure; did you mean 'clicks'?"),
    (metric(signal="clicks", shows="share"), "key_metrics.use[0].shows: clicks is a counter that does not say what is bad; valid values: per_hour"),
    (metric(signal="memory", shows="p95"), "key_metrics.use[0].shows: memory is a gauge; valid values: last"),
    (metric(signal="latency", shows="last"), "key_metrics.use[0].shows: latency is a histogram of times; valid values: p50, p95"),
    (metric(signal="latency", shows="p99"), "key_metrics.use[0].shows: unknown value; valid values: share, per_hour, p50, p95, last; did you mean 'p95'?"),
    (metric(signal="memory", of="errors", shows="share"), "key_metrics.use[0].of: of is said of two gauges, and errors is a counter with bad events"),
    (metric(signal="memory", of="seen", shows="last"), "key_metrics.use[0].shows: a gauge of another shows a share"),
    ({"alerts.critical": [{"clicks": "any"}]}, "alerts.critical[0]: 'any' counts bad events, and clicks does not say what is bad; give it bad or of"),
    ({"alerts.critical": [{"memory": "> 5%"}]}, "alerts.critical[0]: memory is a gauge: its value is shown and never held against a limit"),
    ({"alerts.warning": [{"sure": "p95 > 200ms"}]}, "alerts.warning[0]: 'p95 > 200ms' is said of times, and sure is a histogram of ratios; such as p20 > 85%"),
    ({"alerts.warning": [{"sure": "> 20% over baseline"}]}, "alerts.warning[0]: '> 20% over baseline' is said of times"),
    ({"alerts.warning": [{"latency": "p10 < 50%"}]}, "alerts.warning[0]: 'p10 < 50%' is said of ratios, and latency is a histogram of times"),
    ({"alerts.warning": [{"errors": "< 1%"}]}, "alerts.warning[0]: '< 1%' belongs under criteria"),
    ({"alerts.fatal": []}, "alerts.fatal: unknown key; valid values: critical, warning, info"),
    ({"alerts.info": [{"errors": "> 5%"}, {"errors": "> 5%"}]}, "alerts.info[1]: errors > 5% stands twice in info"),
    ({"kpis.1.no_alert": "info"}, "kpis[1].no_alert: the plan has no info alerts: this would always be met"),
    (kpi(), "kpis[2]: a KPI looks at exactly one of rollout, no_alert, signal and source"),
    (kpi(rollout="promoted", source="survey", must="> 1"), "kpis[2]: a KPI looks at exactly one of"),
    (kpi(rollout="promoted", must="> 1"), "kpis[2]: must belongs to a KPI of a signal or a source"),
    (kpi(signal="errors"), "kpis[2]: must belongs to a KPI of a signal or a source, and these need it"),
    (kpi(source="survey", of="seen", must="> 1"), "kpis[2]: of belongs to a KPI of a signal"),
    (kpi(signal="eror", must="> 1%"), "kpis[2].signal: unknown signal 'eror'"),
    (kpi(source="surveys", must="> 1"), "kpis[2].source: unknown source 'surveys'; valid values: survey, votes; did you mean 'survey'?"),
    (kpi(source="votes", must="> 1"), "kpis[2].source: votes holds texts, and texts have no mean"),
    (kpi(source="survey", must="> 80%"), "kpis[2].must: '> 80%': a source has a mean, which is a plain number; such as '> 4.0'"),
    (kpi(signal="errors", must="> 4"), "kpis[2].must: '> 4': errors is a counter with bad events, whose limit is in %"),
    (kpi(signal="errors", must="p95 < 1%"), "kpis[2].must: 'p95 < 1%': errors is a counter with bad events, which has no quantile"),
    (kpi(signal="latency", must="< 200ms"), "kpis[2].must: '< 200ms': latency is a histogram of times, which needs a quantile"),
    (kpi(signal="latency", must="p95 < 5%"), "kpis[2].must: 'p95 < 5%': latency is a histogram of times, whose limit is a time"),
    (kpi(signal="sure", must="p20 > 85ms"), "kpis[2].must: 'p20 > 85ms': sure is a histogram of ratios, whose limit is in %"),
    (kpi(signal="clicks", must="> 5% over baseline"), "kpis[2].must: '> 5% over baseline': clicks is a counter that does not say what is bad, which the two arms do not share alike"),
    (kpi(signal="memory", of="seen", must="> 5"), "kpis[2].must: '> 5': memory is a gauge, whose limit is in %"),
    (kpi(signal="memory", of="errors", must="> 5%"), "kpis[2].of: of is said of two gauges"),
    (kpi(signal="errors", must="about 5%"), "kpis[2].must: 'about 5%' is nothing that a KPI can be held to; valid values look like '> 50%',"),
    (kpi(signal="latency", must="p0 < 5ms"), "kpis[2].must: 'p0 < 5ms': p0 is no quantile"),
    (kpi(signal="latency", must="p95 < 5ms over baseline"), "kpis[2].must: 'p95 < 5ms over baseline': a comparison with the baseline is written in %"),
    (kpi(rollout="promoted", at_review=3), "kpis[2].at_review: there are 2 reviews; valid values: 1 to 2"),
    (kpi(rollout="promoted", at_review=0), "kpis[2].at_review: input should be greater than or equal to 1"),
    ({"kpis.2.name": "Calm"}, "kpis[2].name: two KPIs are called 'Calm'"),
    ({"sources.survey": {"csv": "a.csv", "url": "https://x.test/a", "field": "b"}}, "sources.survey: a source is either a csv or a url"),
    ({"sources.survey": {"csv": "a.csv"}}, "sources.survey: field belongs to a source with a csv or a url"),
    ({"sources.survey": {"field": "a"}}, "sources.survey: field belongs to a source with a csv or a url"),
    ({"sources.survey": {"url": "https://x.test/a", "field": "b", "when": "c"}}, "sources.survey: when belongs to a source with a csv"),
    ({"sources.survey": {"url": "https://x.test/a?key=1", "field": "b"}}, "sources.survey.url: must be an http:// or https:// address without user, query"),
]  # fmt: skip


def problems(file: Path) -> list[str]:
    """What is wrong with a file, without the places."""
    try:
        load_plan(file)
    except PlanError as error:
        return [problem.split(": ", 1)[1] for problem in error.problems]
    return []


@pytest.mark.parametrize(("edits", "words"), CASES)
def test_what_cannot_be_shown_or_held_is_refused_where_it_stands(
    plan_file: Write, edits: dict[str, Any], words: str
) -> None:
    """Exactly one problem, that says what would be right."""
    found = problems(plan_file({**WATCHING, **edits}))
    assert len(found) == 1, found
    assert found[0].startswith(words)


@pytest.mark.parametrize(
    "edits",
    [
        {},
        metric(signal="errors", shows="per_hour"),
        metric(signal="sure", shows="p50"),
        metric(signal="memory", of="seen", shows="share"),
        kpi(signal="sure", must="p20 > 85%"),
        kpi(signal="sure", must="p50 >= 1% over baseline"),
        kpi(signal="errors", must=">= 15% below baseline"),
        kpi(signal="clicks", must="> 4"),
        {"sources.survey": {"csv": "scores.csv", "field": "score", "when": "at"}},
        {"sources.survey": {"url": "https://example.test/answers", "field": "data.score"}},
        {"phases.1.criteria.2": {"sure": "p20 > 85%"}, "phases.1.triggers.2": {"sure": "p10 < 0.5"}},
    ],
)  # fmt: skip
def test_what_can_be_shown_and_held_is_not_refused(plan_file: Write, edits: dict[str, Any]) -> None:
    """Each kind of signal has its sound forms."""
    assert problems(plan_file({**WATCHING, **edits})) == []


def test_a_phase_measures_what_is_watched_beside_what_is_judged(plan_body: Callable[[dict[str, Any]], str]) -> None:
    """Judged first; what is both stands once, and only the judged ones are called so."""
    plan = parse_plan(plan_body(WATCHING))
    canary, full = plan.phases[1], plan.phases[2]
    assert plan.judged(canary) == ("errors", "latency", "errors on features")
    assert list(plan.measures(canary)) == ["errors", "latency", "errors on features", "clicks", "memory", "sure"]
    assert list(plan.measures(full)) == ["errors", "clicks", "memory", "errors on features", "sure"]


def runbook(plans: Path) -> Plan:
    return load_plan(plans / "phase1.yaml").plan


def test_the_runbook_watches_every_line_of_its_dashboard(plans: Path) -> None:
    """Feature adoption, performance impact, error tracking and resources; three thresholds; eight KPIs."""
    plan = runbook(plans)
    shown = {group: [metric.name for metric in metrics] for group, metrics in plan.key_metrics.items()}
    assert {group: len(names) for group, names in shown.items()} == {
        "feature_adoption": 5, "performance_impact": 4, "error_tracking": 4, "resources": 2,
    }  # fmt: skip
    assert [r.measure for r in plan.alerts.critical] == ["http_errors on features"]
    assert isinstance(plan.alerts.warning[0], RatioBelow)
    assert isinstance(plan.alerts.info[0], QuantileAbove)
    assert [kpi.name for kpi in plan.kpis] == [
        "Deployment success", "Performance", "Stability", "Adoption",
        "Efficiency", "Accuracy", "Automation", "User satisfaction",
    ]  # fmt: skip
    assert not any(source.configured for source in plan.sources.values())


def test_a_plan_that_watches_nothing_says_nothing_of_it(plan_body: Callable[[dict[str, Any]], str]) -> None:
    """The words of a review are there only when the plan asks for one beyond its phases."""
    assert review_in_words(parse_plan(plan_body({}))) == ""
    told = review_in_words(parse_plan(plan_body(WATCHING)))
    assert told == "reviewed after 24h and 48h: 1 key metrics; 2 alerts; 4 KPIs; no source configured for survey, votes"


def test_an_overlay_binds_a_source_of_the_plan_and_no_other(plan_file: Write, tmp_path: Path) -> None:
    """It replaces the plan's source as a whole; a name that the plan does not know is told."""
    plan_file(WATCHING)
    over = tmp_path / "over.yaml"
    bound = {"csv": "scores.csv", "field": "score"}
    over.write_text(f"overlay: plan.yaml\nsources: {json.dumps({'votes': bound})}\n")
    assert load_plan(over).plan.sources == {"survey": Source(), "votes": Source(csv="scores.csv", field="score")}
    over.write_text(f"overlay: plan.yaml\nsources: {json.dumps({'vote': bound})}\n")
    (problem,) = problems(over)
    assert problem == "sources.vote: the plan has no such source; valid values: survey, votes; did you mean 'votes'?"


@pytest.mark.parametrize(
    ("text", "quantile", "limit", "met", "missed"),
    [
        ("> 50%", None, 0.5, 0.51, 0.5),
        (">= 30%", None, 0.3, 0.3, 0.29),
        ("p95 <= 5% over baseline", 0.95, 0.05, 0.05, 0.051),
        ("p95 < 200ms", 0.95, 0.2, 0.19, 0.2),
        ("> 4.0", None, 4.0, 4.1, 4.0),
    ],
)
def test_a_kpi_is_held_to_its_limit_as_written(
    text: str, quantile: float | None, limit: float, met: float, missed: float
) -> None:
    """Per cent become shares, milliseconds seconds; "or equal" is only what says so."""
    read = must(text)
    assert (read.text, read.quantile, read.limit) == (text, quantile, limit)
    assert read.met(met)
    assert not read.met(missed)


@given(st.text(alphabet="p0159.<>=% msoverblwain") | st.text())
def test_arbitrary_text_is_a_limit_or_refused(text: str) -> None:
    """Only ValueError leaves the reader."""
    try:
        read = must(text)
    except ValueError:
        return
    assert (read.text, read.quantile) == (text, read.quantile or None)
