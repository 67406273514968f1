"""Traffic facts: a file and options, what is known of a measure, and everything that can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from canary.errors import BadUsage, MeasurementFailed
from canary.judge.power.facts import read_facts
from canary.judge.power.measured import measured
from canary.plan.load import load_plan, parse_plan
from canary.plan.model import Plan
from canary.ports import Increment, Scrape
from canary.testing.fakes import FakeMetrics

BODY: dict[str, Any] = {
    "name": "spring",
    "service": "shop",
    "targets": {"api": {"use": "envoy/api"}},
    "metrics": "prometheus/shop",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {
        "errors": {"counter": "requests_total", "bad": {"status": "5.."}, "endpoint": "route"},
        "latency": {"histogram": "seconds"},
    },
    "traffic": "errors",
    "notify": {"page": ["terminal/oncall"]},
    "features": {"queue": {"endpoints": ["/queue"]}},
    "phases": [
        {
            "name": "canary",
            "for": "30m",
            "exposure": "10%",
            "criteria": [{"errors": "< 1%"}, {"latency": "p95 < 200ms"}],
            "triggers": [{"errors": "any", "on": "features"}],
        },
        {"name": "full", "exposure": "100%"},
    ],
}
Write = Callable[[str], Path]


@pytest.fixture
def plan() -> Plan:
    return parse_plan(json.dumps(BODY))


@pytest.fixture
def facts_file(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "facts.yaml"
        file.write_text(text)
        return file

    return write


def test_the_nearest_that_is_known_counts(plan: Plan, facts_file: Write) -> None:
    """Of the measure, else of its signal, else of the service; and whether it was told of more than the measure."""
    text = """
rps: 100
error_rate: 0.5%
signals:
  errors: {error_rate: 0.2%}
  errors on features: {error_rate: 0.1%}
  latency: {rps: 80, p50: 40ms, p95: 0.09s, edges: [200ms, 100ms]}
"""
    facts = read_facts(facts_file(text), {}, plan)
    assert (facts.of("errors", "rate").rps, facts.of("errors", "rate").error_rate) == (100.0, 0.002)
    narrow = facts.of("errors on features", "rate")
    assert (narrow.rps, narrow.error_rate, narrow.narrowed) == (100.0, 0.001, True)
    assert not facts.of("errors", "rate").narrowed
    latency = facts.of("latency", "times").latency
    assert latency
    assert latency.edges == (0.1, 0.2)
    assert latency.above(0.04) == pytest.approx(0.5)
    assert latency.above(0.09) == pytest.approx(0.05)


def test_a_measures_own_traffic_is_its_own(plan: Plan) -> None:
    """Then nothing is reckoned with more than it has."""
    facts = read_facts(None, {"rps": 100, "signals": {"errors on features": {"rps": 3}}}, plan)
    assert (facts.of("errors on features", "rate").rps, facts.of("errors on features", "rate").narrowed) == (3.0, False)


def test_counted_buckets_are_taken_as_they_are(plan: Plan) -> None:
    """Upper edges with units; +Inf counts all."""
    given = {"signals": {"latency": {"buckets": {"100ms": 900, "0.2s": 990, "+Inf": 1000}}}}
    latency = read_facts(None, given, plan).of("latency", "times").latency
    assert latency
    assert latency.edges == (0.1, 0.2)
    assert (latency.above(0.1), latency.above(0.2), latency.above(9.0)) == pytest.approx((0.1, 0.01, 0.01))


def test_the_documented_facts_fit_the_packaged_plan(facts_file: Write) -> None:
    """What docs/plan-power.md shows can be copied."""
    text = (Path(__file__).parents[2] / "docs" / "plan-power.md").read_text()
    with as_file(files("canary.plans") / "phase1.yaml") as file:
        packaged = load_plan(file).plan
    facts = read_facts(facts_file(text.partition("```yaml\n")[2].partition("```")[0]), {}, packaged)
    assert facts.of("http_errors on features", "rate").rps == 3.0
    assert facts.of("publish_latency", "times").latency


def test_options_win_over_the_file(plan: Plan, facts_file: Write) -> None:
    """Key by key: what is not typed stays."""
    file = facts_file("{rps: 100, error_rate: 1%, signals: {latency: {rps: 7}}}")
    facts = read_facts(file, {"rps": 5.0, "signals": {"latency": {"p50": "1ms", "p95": "2ms"}}}, plan)
    assert (facts.rps, facts.error_rate) == (5.0, 0.01)
    assert facts.of("latency", "times").rps == 7.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rps: -1", "rps"),
        ("rps: fast", "rps: must be a number"),
        ("error_rate: 0.002", "is no share of users; valid values look like 0%"),
        ("rsp: 100", "unknown key; valid values: rps, error_rate, signals; did you mean 'rps'?"),
        ("signals: {errros: {rps: 1}}", "no signal of the plan; valid values: errors, latency, errors on features"),
        ("signals: {latency: {p50: 40ms}}", "p50 and p95 belong together"),
        ("signals: {latency: {p50: 40, p95: 90ms}}", "is no latency; valid values look like 40ms or 1.5s"),
        ("signals: {latency: {p50: 90ms, p95: 90ms}}", "p50 must be below p95"),
        (
            "signals: {latency: {p50: 4ms, p95: 9ms, buckets: {1ms: 1, +Inf: 2}}}",
            "either as p50 and p95, or as buckets",
        ),
        ("signals: {latency: {buckets: {100ms: 5, 200ms: 4, +Inf: 9}}}", "so that they rise up to +Inf"),
        ("signals: {latency: {buckets: {100ms: 5}}}", "+Inf with all requests"),
        ("- 1", "a facts file is a YAML mapping such as"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(plan: Plan, facts_file: Write, text: str, told: str) -> None:
    """File, line and column, what was wrong and what would be right; as bad usage."""
    file = facts_file(text)
    with pytest.raises(BadUsage) as raised:
        read_facts(file, {}, plan)
    assert told in str(raised.value)
    assert "the traffic facts have 1 problem:" in str(raised.value)
    assert str(file) in str(raised.value)
    assert "--rps 100 --error-rate 0.2%" in str(raised.value)


def test_a_missing_file_is_told(plan: Plan, tmp_path: Path) -> None:
    """Like one that cannot be read."""
    with pytest.raises(BadUsage, match="no such file"):
        read_facts(tmp_path / "none.yaml", {}, plan)


def scrapes(seconds: int) -> list[Scrape]:
    """Every 15 s: 1,500 requests of the stable version, 3 bad; its latency in two buckets."""
    return [
        Scrape(
            float(at),
            {
                "errors": {"baseline": Increment(1500.0, 3.0)},
                "latency": {"baseline": Increment(1500.0, 0.0, {0.1: 1350.0, 0.2: 1485.0})},
            },
        )
        for at in range(15, seconds + 1, 15)
    ]


async def test_facts_are_read_from_the_metrics_of_the_stable_version(plan: Plan) -> None:
    """Rate, bad share and buckets of each measure; what was not measured is left out."""
    arms = plan.arms.resolve("(no candidate)", "2.0.9")
    found = await measured(FakeMetrics(scrapes(600), arms=arms), plan, "2.0.9", 0.0, 600.0)
    facts = read_facts(None, found, plan)
    errors, latency = facts.of("errors", "rate"), facts.of("latency", "times")
    assert (errors.rps, errors.error_rate) == (100.0, 0.002)
    assert latency.rps == 100.0
    assert latency.latency
    assert (latency.latency.above(0.1), latency.latency.above(0.2)) == pytest.approx((0.1, 0.01))
    assert "errors on features" not in facts.signals


async def test_a_version_that_nobody_measured_is_said(plan: Plan) -> None:
    """Not taken for a service without traffic."""
    with pytest.raises(MeasurementFailed, match=r"not one request of 1\.0\.0 was measured within 600 s"):
        await measured(FakeMetrics(), plan, "1.0.0", 0.0, 600.0)
