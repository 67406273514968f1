"""The report: numbers that can be reckoned by hand, and no number where nothing was measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import pytest

from canary.ports import Increment
from canary.review.answers import Answers, Unread
from canary.review.kpis import Said
from canary.rollout import events as e

from .conftest import HOUR, START, Story, times

Table = Callable[..., dict[str, Any]]
HEALTHY: dict[str, Any] = {
    "http_errors": {"canary": Increment(1000.0)},
    "http_errors on features": {"canary": Increment(500.0)},
    "api_latency": {"canary": times(1000, 900)},
    "admins": {"canary": Increment(0.0, last=100.0)},
    "admins_trying": {"canary": Increment(0.0, last=60.0)},
    "scheduled_exports": {"canary": Increment(100.0, 40.0)},
    "manual_classification": {"canary": Increment(100.0, 20.0)},
    "ai_confidence": {"canary": Increment(100.0, 0.0, {0.5: 1.0, 0.85: 10.0, 1.0: 100.0})},
}


def with_baseline(signals: Mapping[str, Any], **others: Increment) -> dict[str, Any]:
    """The same for both arms, but for what is said of the baseline."""
    return {n: {**arms, "baseline": others.get(n, arms["canary"])} for n, arms in signals.items()}


BESIDE = with_baseline(HEALTHY, manual_classification=Increment(100.0, 40.0))


def verdicts(report: Any) -> dict[str, str]:
    return {row.name: str(row.said) for row in report.kpis}


def test_a_good_release_meets_what_was_measured_of_it(promoted: Callable[..., Story]) -> None:
    """At the second review every KPI is decided; the one without a source says so."""
    report = promoted(BESIDE, HEALTHY, hours=48).report()
    assert verdicts(report) == {
        "Deployment success": "MET", "Performance": "MET", "Stability": "MET", "Adoption": "MET",
        "Efficiency": "MET", "Accuracy": "MET", "Automation": "MET", "User satisfaction": "NO SOURCE",
    }  # fmt: skip
    assert report.verdict == "PROMOTED"
    assert "KPIs: 7 met, 1 no source" in report.lines[1]
    assert report.lines[2].endswith("alerts: none fired")


def test_a_release_without_a_feature_is_reported_so(story: Story, promoted: Callable[..., Story]) -> None:
    """In its first line."""
    off = e.FeatureOffIntended(feature="export_scheduling", flag="EXPORT", target="api", candidate="{}", why="bad")
    story.tell(off)
    story.tell(e.SoakStarted(phase="canary", due=story.at + 1800))
    assert ": promoted without export_scheduling in " in promoted(BESIDE, HEALTHY).report().lines[0]


def test_kpi_rows_bring_value_limit_and_sample_size(promoted: Callable[..., Story], kpi: Any) -> None:
    """Reckoned by hand: 40 of 100 exports are scheduled, 288 blocks a day; 20 % by hand instead of 40 %."""
    report = promoted(BESIDE, HEALTHY).report()
    assert tuple(asdict(kpi(report, "Automation")).values())[1:5] == ("40 %", ">= 30%", "MET", "28,800")
    efficiency = kpi(report, "Efficiency")
    assert (efficiency.value, efficiency.samples) == ("-50.0 %", "12,000 and 12,000")
    assert efficiency.reason == "20 %, baseline 40 %"
    assert kpi(report, "Accuracy").value == "86.7 %"


def test_a_bad_release_misses(promoted: Callable[..., Story]) -> None:
    """Slower by more than 5 %, too few scheduled exports, unsure of documents."""
    worse = {
        **HEALTHY,
        "scheduled_exports": {"canary": Increment(100.0, 29.0)},
        "ai_confidence": {"canary": Increment(100.0, 0.0, {0.5: 1.0, 0.85: 21.0, 1.0: 100.0})},
    }
    slow = with_baseline({**BESIDE, "api_latency": {"canary": times(1000, 0)}}, api_latency=times(1000, 940))
    report = promoted({**slow, "manual_classification": BESIDE["manual_classification"]}, worse).report()
    missed = {name for name, said in verdicts(report).items() if said == "MISSED"}
    assert missed == {"Performance", "Accuracy", "Automation"}
    assert report.verdict == "PROMOTED: 3 KPIs missed"
    assert "missed: Performance" in report.lines[1]


def test_before_its_review_a_kpi_is_not_yet(promoted: Callable[..., Story], kpi: Any) -> None:
    """It shows what it is so far; nothing is promised."""
    report = promoted(BESIDE, HEALTHY).report()
    adoption = kpi(report, "Adoption")
    assert (adoption.said, adoption.value) == (Said.NOT_YET, "60 %")
    assert adoption.reason == "decided 48h after full exposure; so far it would be MET"


def test_a_kpi_is_decided_at_its_review_and_stays_so(promoted: Callable[..., Story], kpi: Any) -> None:
    """What happens on the second day does not change what the first day's review said."""
    story = promoted(BESIDE, HEALTHY, hours=24)
    for _ in range(288):
        story.block(300, {**HEALTHY, "scheduled_exports": {"canary": Increment(100.0, 0.0)}})
    assert kpi(story.report(), "Automation").value == "40 %"


def test_one_critical_error_after_full_exposure_misses_stability_at_once(
    promoted: Callable[..., Story], kpi: Any, table: Table
) -> None:
    """Any 5xx of a feature, in one of 24 hours; not lost in the sum of a day, and known before the review is due."""
    story = promoted(BESIDE, HEALTHY, hours=2)
    story.block(300, {**HEALTHY, "http_errors on features": {"canary": Increment(500.0, 1.0)}})
    report = story.report()
    stability = kpi(report, "Stability")
    assert (stability.said, stability.value) == (Said.MISSED, "1 fired")
    assert "1 in 500 canary opportunities" in stability.reason
    assert table(report, "Alerts fired, by hour")["critical"] == ("http_errors on features any", "no (1 h)", "1 of 3 h")
    assert "1 critical alert fired" in report.verdict


def test_an_unmeasured_day_is_not_a_quiet_day(promoted: Callable[..., Story], kpi: Any) -> None:
    """Two of 24 hours were measured: that nothing fired in them proves nothing."""
    story = promoted(BESIDE, HEALTHY, hours=2)
    stability = kpi(story.report(now=story.at + 22 * HOUR), "Stability")
    assert (stability.said, stability.value) == (Said.NO_DATA, "–")
    assert stability.samples == "8.33 % of the time measured"


def test_what_was_never_measured_has_no_number_anywhere(promoted: Callable[..., Story], table: Table) -> None:
    """Only requests were counted: everything else is absent, and no KPI on it is met or missed."""
    only = {"http_errors": {"canary": Increment(1000.0)}}
    report = promoted(only, only, hours=48).report()
    assert set(verdicts(report).values()) == {"MET", "NO DATA", "NO SOURCE"}
    assert [name for name, said in verdicts(report).items() if said == "MET"] == ["Deployment success"]
    assert set(table(report, "Feature adoption").values()) == {("absent", "absent", "absent")}
    assert set(table(report, "Latency before and after").values()) == {("absent", "absent", "–", "absent")}


def test_present_and_not_collecting_is_told_from_absent_and_from_nought(
    promoted: Callable[..., Story], table: Table
) -> None:
    """Three different things: no series, a series that never moved, and 0 % of many."""
    signals = {"ai_failures": {"canary": Increment(0.0)}, "forecast_failures": {"canary": Increment(50.0, 0.0)}}
    rows = table(promoted(signals, signals, hours=1).report(), "Error tracking")
    assert rows["AI classification failures"] == ("absent", "0 counted", "0 counted")
    assert rows["Forecast calculation errors"] == ("absent", "0 %", "0 %")


def test_too_few_samples_are_no_verdict(promoted: Callable[..., Story], kpi: Any) -> None:
    """99 exports could be anything; 100 are held to the limit."""
    few = {"scheduled_exports": {"canary": Increment(33.0, 33.0)}}
    story = promoted({}, few, hours=0.25)
    assert kpi(story.report(now=START + 25 * HOUR), "Automation").said is Said.NO_DATA
    story.block(300, {"scheduled_exports": {"canary": Increment(1.0, 1.0)}})
    assert kpi(story.report(now=START + 25 * HOUR), "Automation").said is Said.MET


def test_frequencies_are_per_real_hour_that_was_measured(promoted: Callable[..., Story], table: Table) -> None:
    """10 messages in each five minutes are 120 an hour; a gap is neither time nor messages."""
    story = promoted({}, {"websocket_messages": {"canary": Increment(10.0)}}, hours=2)
    rows = table(story.report(now=story.at + 10 * HOUR), "Performance impact")
    assert rows["WebSocket message throughput"][2] == "120 / h"


def test_a_quantile_beyond_the_last_edge_is_said_so(promoted: Callable[..., Story], kpi: Any, table: Table) -> None:
    """Nobody knows how slow; it is no number to compare with."""
    slow = with_baseline({"api_latency": {"canary": Increment(1000.0, 0.0, {0.1: 0.0, 0.2: 500.0})}})
    report = promoted(slow, HEALTHY).report()
    assert table(report, "Latency before and after")["api latency p95"][:3] == ("above 200 ms", "above 200 ms", "–")
    assert kpi(report, "Performance").said is Said.NO_DATA


def test_a_rollout_that_never_reached_everybody_is_told_as_it_is(story: Story) -> None:
    """Rolled back in the canary: the deployment failed, and the rest cannot be known."""
    story.block(15, BESIDE)
    story.tell(e.RollbackStarted(cause="fail", reason="http_errors 4 %"))
    story.tell(e.RolloutEnded(outcome="rolled_back", phase="canary", reason="http_errors 4 %", verified=True))
    report = story.report()
    assert verdicts(report)["Deployment success"] == "MISSED"
    assert set(verdicts(report).values()) == {"MISSED", "NO DATA"}
    assert report.verdict.startswith("ROLLED BACK")


def test_a_phase_passed_by_a_person_is_no_green_canary(story: Story, kpi: Any) -> None:
    """The deployment's success is "by evidence": an override is named."""
    story.tell(e.PhasePassed(phase="canary", reason="I know better", overridden_by="Ann"))
    deployment = kpi(story.full().report(), "Deployment success")
    assert (deployment.said, deployment.reason) == (Said.MISSED, "canary passed by a person")


def test_a_report_of_a_journal_without_blocks_can_be_made(story: Story) -> None:
    """At full exposure of a plan that measures nothing, or while a rollout has just begun."""
    report = story.report()
    assert report.verdict == "UNDER WAY"
    assert report.measured == "nothing was measured"
    assert report.curves == ()


def test_a_survey_decides_by_its_mean_and_tells_what_it_left_out(promoted: Callable[..., Story], kpi: Any) -> None:
    """Broken rows are counted and named; 4.0 is not above 4.0."""
    story = promoted(BESIDE, HEALTHY, hours=48)
    liked = story.report({"survey": Answers((4.0, 5.0, 4.5), ("line 3: score is 'n/a', not a number",))})
    row = kpi(liked, "User satisfaction")
    assert (row.said, row.value, row.samples) == (Said.MET, "4.50", "3 answers")
    assert row.reason == "1 broken: line 3: score is 'n/a', not a number"
    assert kpi(story.report({"survey": Answers((4.0, 4.0))}), "User satisfaction").said is Said.MISSED
    assert kpi(story.report({"survey": Answers(())}), "User satisfaction").said is Said.NO_DATA
    unread = kpi(story.report({"survey": Unread("survey.csv: No such file or directory")}), "User satisfaction")
    assert (unread.said, unread.value) == (Said.NO_DATA, "–")


def test_what_people_said_is_a_table_of_its_own(promoted: Callable[..., Story], table: Table) -> None:
    """Texts by how often they were said; and which source is missing."""
    tickets = Answers(("slow", "export fails", "slow"), ("a", "b", "c", "d"), 2)
    rows = table(promoted({}, {}, hours=1).report({"tickets": tickets}), "What people said")
    assert rows["survey"] == ("no source configured", "–", "")
    said = "slow (2), export fails (1)"
    assert rows["tickets"] == (said, "3", "2 from before full exposure left out; 4 broken: a; b; c and 1 more")


def test_curves_have_gaps_where_nothing_was_measured(promoted: Callable[..., Story]) -> None:
    """A line is never drawn through a time that nobody looked at."""
    story = promoted(BESIDE, HEALTHY, hours=2)
    story.at += 4 * HOUR
    for _ in range(24):
        story.block(300, HEALTHY)
    errors = story.report().curves[0]
    assert (errors.title, errors.unit) == ("http errors: share of requests", "share")
    values = [value for _, value in errors.lines["candidate"]]
    assert None in values
    assert values[0] == values[-1] == 0.0


def test_the_report_is_plain_data(promoted: Callable[..., Story]) -> None:
    """Everything a page shows can be printed as JSON."""
    assert json.loads(json.dumps(asdict(promoted(BESIDE, HEALTHY, hours=1).report())))["rollout"] == "r1"


@pytest.mark.parametrize("hours", [1, 24])
def test_the_order_of_arms_and_the_length_of_blocks_change_no_sum(
    promoted: Callable[..., Story], table: Table, hours: int
) -> None:
    """The error table's counts are those of the journal, whatever was put into one line."""
    rows = table(promoted(BESIDE, HEALTHY, hours=hours).report(), "Error rates")
    expected = f"0 % (0 of {12 * hours * 1000:,})"
    assert rows["http errors"] == ("0 % (0 of 120,000)", "0 % (0 of 120,000)", expected)
