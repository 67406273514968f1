"""A plan's alerts as Prometheus rules, judged by promtool on series of its own: what fires, and what must not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from canary.boards import promql
from canary.boards.alerting import alert_rules, rule_file
from canary.boards.dashboard import dashboard
from canary.boards.promql import Over
from canary.cli.plan import app
from canary.plan.load import load_plan, parse_plan
from canary.plan.model import Plan

ROOT = Path(__file__).parents[2]
PHASE1 = ROOT / "plans" / "phase1.yaml"
CRITICAL = "docflow http_errors any on features"
WARNING = "docflow ai_confidence p10 < 0.5"
INFO = "docflow forecast_error p50 > 20%"
ON_QUEUE = 'http_requests_total{route="/api/admin/queue",version="2.1.0",instance="a:1",status="%s"}'
Fires = Callable[[Mapping[str, str], str], Sequence[str]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(PHASE1).plan


@pytest.fixture
def promtool(require: Callable[[str], Path]) -> Callable[..., str]:
    """Runs promtool; what it printed. A status other than 0 fails the test."""
    program = require("promtool")

    def run(*argv: str | Path) -> str:
        done = subprocess.run([program, *argv], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def fires(promtool: Callable[..., str], tmp_path: Path, plan: Plan) -> Fires:
    """`fires(series, "10m")` → the alerts that fire then; series in promtool's notation, a sample every 15 s."""

    def fire(series: Mapping[str, str], at: str) -> Sequence[str]:
        (tmp_path / "rules.yaml").write_text(rule_file(plan))
        names = [rule.name for rule in alert_rules(plan)]
        return [name for name in names if _fires(promtool, tmp_path, series, at, name)]

    return fire


def _fires(promtool: Callable[..., str], folder: Path, series: Mapping[str, str], at: str, name: str) -> bool:
    """promtool knows expectations alone: one of them holds, of firing once or not at all."""
    labels, notes = _written(folder, name)
    expected = {"exp_labels": labels, "exp_annotations": notes}
    for found in ([expected], []):
        test = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": "15s",
            "tests": [
                {
                    "interval": "15s",
                    "input_series": [{"series": key, "values": values} for key, values in series.items()],
                    "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": found}],
                }
            ],
        }
        (folder / "test.yaml").write_text(json.dumps(test))
        try:
            promtool("test", "rules", folder / "test.yaml")
        except AssertionError:
            continue
        return bool(found)
    raise AssertionError(f"{name} fires with other labels than it was given")


def _written(folder: Path, name: str) -> tuple[dict[str, str], dict[str, str]]:
    (group,) = YAML(typ="safe").load(folder / "rules.yaml")["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["alert"] == name]
    return rule["labels"], rule["annotations"]


def _alerting(**alerts: list[dict[str, str]]) -> Plan:
    """The runbook's plan with other alerts."""
    body = json.loads(load_plan(PHASE1).body)
    return parse_plan(json.dumps({**body, "alerts": alerts}))


def _histogram(name: str, **rising: int) -> dict[str, str]:
    """Buckets by edge (le_0_5=…), each rising by so many a sample."""
    edges = {le.removeprefix("le_").replace("_", ".").replace("inf", "+Inf"): n for le, n in rising.items()}
    return {f'{name}_bucket{{instance="a:1",le="{edge}"}}': f"0+{n}x60" for edge, n in edges.items()}


def test_promtool_takes_the_file(promtool: Callable[..., str], tmp_path: Path) -> None:
    """`canary plan alerts FILE` prints what Prometheus itself can load: three rules, a severity each."""
    printed = CliRunner().invoke(app, ["alerts", str(PHASE1)])
    (tmp_path / "rules.yaml").write_text(printed.stdout)
    assert "3 rules found" in promtool("check", "rules", tmp_path / "rules.yaml")
    (group,) = YAML(typ="safe").load(printed.stdout)["groups"]
    assert [rule["labels"]["severity"] for rule in group["rules"]] == ["critical", "warning", "info"]


def test_as_json_it_is_one_document(plan: Plan) -> None:
    """The same rules for a program, and the names of those that no rule can say."""
    told = json.loads(CliRunner().invoke(app, ["alerts", str(PHASE1), "--json"]).stdout)
    assert (told["plan"], told["left_out"]) == ("phase1", [])
    assert [rule["expr"] for rule in told["rules"]] == [rule.expr for rule in alert_rules(plan)]
    assert {rule["seconds"] for rule in told["rules"]} == {300.0}


def test_a_quiet_service_fires_nothing(fires: Fires) -> None:
    """Requests without errors, sure answers and close forecasts; old errors that grow no more are over."""
    series = {
        ON_QUEUE % "200": "0+100x60",
        ON_QUEUE % "503": "7+0x60",
        **_histogram("ai_confidence", le_0_5=9, le_0_9=50, le_inf=100),
        **_histogram("forecast_error_ratio", le_0_1=60, le_0_2=80, le_inf=100),
    }
    assert fires(series, "10m") == []


def test_no_data_fires_nothing(fires: Fires) -> None:
    """What measured nothing is neither good nor bad, and is not told as an alert of the release."""
    assert fires({"up": "1+0x60"}, "10m") == []


def test_the_first_error_of_all_fires(fires: Fires) -> None:
    """A series that is born with its first error never increases, and is seen all the same; later it is over."""
    series = {ON_QUEUE % "200": "0+100x60", ON_QUEUE % "503": "_x20 1+0x40"}
    assert fires(series, "4m") == []
    assert fires(series, "6m") == [CRITICAL]
    assert fires(series, "14m") == []


@pytest.mark.parametrize("values", ["7+0x20 8+0x40", "7+0x20 0+0x5 1+0x35"])
def test_one_more_error_fires(fires: Fires, values: str) -> None:
    """Also right after a restart, when the counter began anew."""
    assert fires({ON_QUEUE % "503": values}, "8m") == [CRITICAL]


def test_errors_elsewhere_are_no_alert(fires: Fires) -> None:
    """The alert is narrowed to the features' endpoints."""
    assert fires({'http_requests_total{route="/api/other",instance="a:1",status="503"}': "0+5x60"}, "10m") == []


def test_an_unsure_ai_and_forecasts_that_are_off(fires: Fires) -> None:
    """More than 10 % of the documents below 0.5, and more than half of the forecasts off by more than 20 %."""
    unsure = _histogram("ai_confidence", le_0_5=12, le_0_9=50, le_inf=100)
    off = _histogram("forecast_error_ratio", le_0_1=20, le_0_2=45, le_0_5=100, le_inf=100)
    assert fires(unsure, "10m") == [WARNING]
    assert fires({**unsure, **off}, "10m") == [WARNING, INFO]


EDITS = [
    ("> 5%", "0+6x60", True),
    ("> 5%", "0+4x60", False),
    ("any", "0+1x60", True),
]


@pytest.mark.parametrize(("rule", "bad", "expected"), EDITS)
def test_shares_of_bad_events(
    promtool: Callable[..., str], tmp_path: Path, rule: str, bad: str, expected: bool
) -> None:
    """A limit on the share, of bad ones by label or of a counter of bad events beside that of opportunities."""
    edited = _alerting(warning=[{"ai_failures": rule}])
    (tmp_path / "rules.yaml").write_text(rule_file(edited))
    series = {
        'ai_classification_requests_total{instance="a:1"}': "0+100x60",
        'ai_classification_failures_total{instance="a:1"}': bad,
    }
    assert _fires(promtool, tmp_path, series, "10m", f"docflow ai_failures {rule}") is expected


def test_a_times_limit_is_in_seconds_whatever_the_metric_counts(promtool: Callable[..., str], tmp_path: Path) -> None:
    """publish_latency_ms has edges in milliseconds: 1 s is 1000 of them. A comparison is left out, by name."""
    edited = _alerting(critical=[{"publish_latency": "p95 > 1s"}], info=[{"api_latency": "> 20% over baseline"}])
    (tmp_path / "rules.yaml").write_text(rule_file(edited))
    assert "# Left out, since it compares with a baseline: api_latency > 20% over baseline" in rule_file(edited)
    for slow, expected in ((4, False), (10, True)):
        series = _histogram("publish_latency_ms", le_500=100 - slow, le_1000=100 - slow, le_4000=100, le_inf=100)
        assert _fires(promtool, tmp_path, series, "10m", "docflow publish_latency p95 > 1s") is expected


def test_a_share_without_a_bad_event_is_0_and_without_events_nothing(
    promtool: Callable[..., str], tmp_path: Path, plan: Plan
) -> None:
    """A curve of errors lies on the ground before the first one, and is not there when nobody asked for anything."""
    expr = promql.share(plan.signals["http_errors"], Over("1m"))
    asked = {"expr": expr, "eval_time": "5m"}
    tests = [
        {"input_series": series, "interval": "15s", "promql_expr_test": [{**asked, "exp_samples": found}]}
        for series, found in (
            ([{"series": ON_QUEUE % "200", "values": "0+100x60"}], [{"labels": "{}", "value": 0}]),
            ([{"series": "up", "values": "1+0x60"}], []),
        )
    ]
    (tmp_path / "test.yaml").write_text(json.dumps({"tests": tests}))
    promtool("test", "rules", tmp_path / "test.yaml")


def test_every_expression_of_the_dashboard_is_promql(promtool: Callable[..., str], tmp_path: Path, plan: Plan) -> None:
    """With Grafana's variables filled in, promtool takes each of them."""
    exprs = [target["expr"] for panel in dashboard(plan)["panels"] for target in panel.get("targets", ())]
    filled = [
        expr.replace("$__rate_interval", "1m").replace("${candidate}", "2.1.0").replace("${stable}", "2.0.9")
        for expr in exprs
    ]
    rules: list[dict[str, Any]] = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(filled)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(exprs)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")
    assert not any("$" in expr for expr in filled)
