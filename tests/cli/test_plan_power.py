"""`canary plan power`, and what `canary plan check` says at the service's traffic, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result
from typer.testing import CliRunner

from canary.cli.foreseeing import Given, facts_of
from canary.cli.main import app
from canary.errors import CanaryError
from canary.judge.power.latency import LogNormal
from canary.plan.load import load_plan
from canary.plan.model import Arms, Signal
from canary.ports import Increment, Scrape

PLAN: dict[str, Any] = {
    "name": "spring",
    "service": "shop",
    "targets": {"api": {"use": "envoy/api"}},
    "metrics": "prometheus/shop",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {
        "errors": {"counter": "requests_total", "bad": {"status": "5.."}},
        "latency": {"histogram": "seconds"},
        "ready": {"gauge": "p95_seconds", "window": "5m"},
    },
    "traffic": "errors",
    "notify": {"page": ["terminal/oncall"]},
    "phases": [
        {"name": "staging", "for": "10m", "exposure": "0%", "checks": [{"name": "home", "get": "/"}]},
        {
            "name": "canary",
            "for": "10m",
            "exposure": "10%",
            "criteria": [{"errors": "< 1%"}, {"latency": "p95 < 200ms"}],
            "triggers": [{"errors": "any"}],
        },
        {"name": "full", "exposure": "100%"},
    ],
}
FACTS = ["--rps", "50", "--error-rate", "0.2%", "--latency", "latency=60ms/120ms"]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return written(tmp_path, PLAN)


def written(folder: Path, body: Mapping[str, Any]) -> Path:
    file = folder / "plan.yaml"
    file.write_text(json.dumps(body))
    return file


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, words)])


def refused(*words: str | Path) -> CanaryError:
    """What `main` turns into a message and an exit code."""
    error = run(*words).exception
    assert isinstance(error, CanaryError)
    return error


def test_power_is_a_table_and_what_would_do(plan: Path) -> None:
    """One row a rule, and under it what a reader must know; infeasible is no failure."""
    done = run("power", plan, *FACTS)
    assert done.exit_code == 0
    assert "canary: 10% for 10m" in done.stdout
    rows = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    assert "cluster 4" in rows["errors < 1%"]
    assert "cannot decide" in rows["latency p95 < 200ms"]
    assert "literal" in rows["errors any"]
    assert "200 ms is no bucket edge: rolls back on what is above 250 ms, goes green on what is below 100 ms" in (
        done.stdout
    )
    assert 'latency p95 < 200ms: would do: coarser: "p95 < 250ms"' in done.stdout
    assert "would end 99.8 % of all healthy releases; instead: {errors: worse than baseline}" in done.stdout


def test_power_as_json_has_every_number(plan: Path) -> None:
    """Shares 0–1, seconds of plan time, the curve of the plot."""
    done = run("power", plan, *FACTS, "--json")
    (phase,) = json.loads(done.stdout)["phases"]
    assert (phase["phase"], phase["exposure"], phase["seconds"]) == ("canary", 0.1, 600.0)
    errors, latency, literal = phase["rules"]
    assert errors["smallest"]["factor"] > 5
    assert 0.87 <= errors["smallest"]["power"] <= 0.93
    assert errors["smallest"]["share"] == pytest.approx(0.002 * errors["smallest"]["factor"])
    assert 0 < errors["smallest"]["seconds"] <= 600
    assert errors["clean"] == 1493
    assert latency["green"]["share"] == 0.0
    assert literal["fires"] == pytest.approx(0.9975, abs=1e-3)
    assert all(0 <= power <= 1 for _, power in errors["curve"])


def test_the_plot_is_one_line_a_rule(plan: Path, tmp_path: Path) -> None:
    """An SVG that names each rule that has a curve."""
    assert run("power", plan, *FACTS[:4], "--plot", tmp_path / "a.svg").exit_code == 0
    text = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "canary: errors < 1% (times as bad)" in text
    assert "latency p95" not in text


def test_a_plot_that_cannot_be_written_is_bad_usage(plan: Path, tmp_path: Path) -> None:
    """With what to name instead."""
    error = refused("power", plan, "--plot", tmp_path / "none" / "a.svg")
    assert error.exit_code == 2
    assert "name a file in a folder that is there" in str(error)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rps", "0"], "rps"),
        (["--rps", "50", "--error-rate", "0.002"], "is no share of users"),
        (["--latency", "latency"], "--latency 'latency' is none"),
        (["--latency", "latencies=1ms/2ms"], "no signal of the plan; valid values: errors, latency"),
        (["--latency", "latency=40/90"], "valid values look like 40ms or 1.5s"),
        (["--stable", "1.0"], "add --from-metrics HOURS"),
        (["--from-metrics", "2"], "--from-metrics 2 --stable 2.0.9"),
        (["--from-metrics", "9999", "--stable", "1.0"], "up to 336 hours"),
    ],
)
def test_bad_facts_are_bad_usage(plan: Path, options: list[str], told: str) -> None:
    """Exit code 2, with what would be right."""
    error = refused("power", plan, *options)
    assert error.exit_code == 2
    assert told in str(error)


def test_a_bad_plan_is_exit_code_2(tmp_path: Path) -> None:
    """Before any fact is looked at."""
    done = run("power", written(tmp_path, {**PLAN, "traffic": "x"}), "--rps", "0")
    assert done.exit_code == 2
    assert "the plan has 1 problem" in done.stderr


def test_without_facts_every_rule_says_what_it_needs(plan: Path) -> None:
    """And nothing is invented."""
    done = run("power", plan)
    assert done.exit_code == 0
    assert "errors < 1%: the requests a second are not known: give --rps" in done.stdout
    assert done.stdout.count("unknown") == 3


class Source:
    """A metrics block as Prefect would hand it over: an hour of 50 requests a second."""

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        assert arms.baseline == {"version": "2.0.9"}
        shown = {
            "errors": Increment(50 * (until - since), 0.1 * (until - since)),
            "latency": Increment(50 * (until - since), 0.0, {0.1: 48 * (until - since), 0.2: 49.9 * (until - since)}),
        }
        return [Scrape(until, {name: {"baseline": shown[name]} for name in signals})]


def test_facts_are_read_from_the_plans_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if they had been typed."""

    @asynccontextmanager
    async def opened(ref: str) -> AsyncIterator[Source]:
        assert ref == "prometheus/shop"
        yield Source()

    monkeypatch.setattr("canary.cli.doctor.plans.opened", opened)
    staging, canary, full = PLAN["phases"]
    file = written(tmp_path, {**PLAN, "phases": [staging, {**canary, "criteria": [{"errors": "none"}]}, full]})
    (phase,) = json.loads(run("power", file, "--from-metrics", "1", "--stable", "2.0.9", "--json").stdout)["phases"]
    assert [rule["fires"] for rule in phase["rules"]] == pytest.approx([0.9975, 0.9975], abs=1e-3)


def test_what_is_typed_wins_over_what_was_measured(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every signal; the rest stays as measured."""

    @asynccontextmanager
    async def opened(ref: str) -> AsyncIterator[Source]:
        yield Source()

    monkeypatch.setattr("canary.cli.doctor.plans.opened", opened)
    given = Given(error_rate="1%", latency=("latency=40ms/90ms",), hours=1.0, stable="2.0.9")
    facts = facts_of(given, load_plan(plan).plan)
    errors, latency = facts.of("errors", "rate"), facts.of("latency", "times")
    assert (errors.error_rate, errors.rps) == (0.01, pytest.approx(50.0))
    assert latency.latency == LogNormal(0.04, 0.09)


def test_metrics_that_cannot_be_opened_are_said(plan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Prefect's API there is no block; the facts can still be typed."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    error = refused("power", plan, "--from-metrics", "1", "--stable", "2.0.9")
    assert "PREFECT_API_URL" in str(error)


def notes(*words: str | Path) -> list[str]:
    done = run("check", *words)
    assert done.exit_code == 0
    return [line.removeprefix("note: ") for line in done.stdout.splitlines() if line.startswith("note: ")]


def test_check_says_how_often_a_literal_rule_ends_a_healthy_release(plan: Path) -> None:
    """With the statistical rule beside it, what green needs at the least, and where edges are missing."""
    told = notes(plan, *FACTS)
    assert (
        "canary: errors any: taken at its word, it would end 99.8 % of all healthy releases; the statistical rule to "
        "write instead: {errors: worse than baseline}; all of those together end 1% of the healthy releases at most"
    ) in told
    assert "canary: errors < 1%: green needs 1,493 canary requests at the least, not one of them bad" in told
    assert any("200 ms is no bucket edge" in note for note in told)


def test_check_without_facts_says_that_it_cannot_say(plan: Path) -> None:
    """And how to give them."""
    assert notes(plan) == [
        "taken at their word: errors any; how often they would end a healthy release, and what to write instead, is "
        "told with --rps and --error-rate"
    ]
    assert json.loads(run("check", plan, "--json").stdout)["notes"] == notes(plan)


def test_check_says_of_a_ready_made_number_that_it_never_decides(tmp_path: Path) -> None:
    """Without any facts: two windows in ten minutes."""
    staging, canary, full = PLAN["phases"]
    phase = {**canary, "triggers": [{"ready": "> 20% over baseline"}]}
    (told,) = notes(written(tmp_path, {**PLAN, "phases": [staging, phase, full]}))
    assert told.startswith("canary: ready > 20% over baseline: 2 windows of 5m can never decide: a rollback needs ")
    assert "longer: for: " in told


def test_check_without_facts_imports_no_numbers(plan: Path) -> None:
    """numpy alone takes longer than the whole check may."""
    code = (
        "import sys; from canary.cli.main import app\n"
        f"try: app(['plan', 'check', {str(plan)!r}])\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "assert 'numpy' not in sys.modules and 'prefect' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=30)
