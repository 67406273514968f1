"""`canary plan backtest` as a user calls it: from an export and a plan to a verdict, a page and the journal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from canary.cli.exports import gathered
from canary.errors import BadUsage
from canary.judge.backtest.history import History
from canary.plan.load import load_plan
from canary.ports import BACKTESTS
from canary.rollout.backtested import rules_hash

from .conftest import PLAN, Desk

START = 1_772_323_200
Write = Callable[..., Path]


def export(bad: float, hours: int = 6, pods: int = 20) -> str:
    """CSV of healthy pods that are scraped every 30 s."""
    draw, lines = np.random.default_rng(1), ["at,pod,measure,total,bad"]
    for pod in range(pods):
        n = draw.poisson(40, hours * 120 + 1)
        total, wrong = np.cumsum(n), np.cumsum(draw.binomial(n, bad))
        rows = zip(range(START, START + hours * 3600 + 1, 30), total, wrong, strict=True)
        lines += [f"{at},shop-{pod},errors,{counted},{of_these}" for at, counted, of_these in rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    file = tmp_path / "history.csv"
    file.write_text(export(0.004))
    return file


@pytest.fixture
def plan_file(tmp_path: Path) -> Write:
    """The plan with these rules in its canary."""

    def write(criteria: list[dict[str, Any]], triggers: list[dict[str, Any]], **more: Any) -> Path:
        staging, canary, full = PLAN["phases"]
        phases = [staging, {**canary, "for": "10m", "criteria": criteria, "triggers": triggers}, full]
        file = tmp_path / "plan.yaml"
        file.write_text(json.dumps({**PLAN, **more, "time_scale": 1, "phases": phases}))
        return file

    return write


COMPARED = ([{"errors": "< 5%"}], [{"errors": "worse than baseline"}, {"errors": "any"}])


def test_the_summary_says_what_was_tested_and_what_came_of_it(desk: Desk, plan_file: Write, history: Path) -> None:
    """Windows, false rollbacks with their limits, each rule, harm; and the page says the same."""
    page = history.with_name("report.html")
    done = desk.canary("plan", "backtest", str(plan_file(*COMPARED)), "--history", str(history), "--html", str(page))
    assert done.exit_code == 0, done.output
    assert "spring of service shop: PASSES" in done.stdout
    assert "20 pods, 14,420 samples of errors, 01 Mar 2026 00:00 UTC to 01 Mar 2026 06:00 UTC" in done.stdout
    assert "of 36 windows of 10m, none was left out" in done.stdout
    assert "false rollbacks: 0 of 720 (0 %, with 99 % between 0 % and 0.733 %); α is 1 %: passes" in done.stdout
    assert "errors any (literal): would have fired on a healthy release in" in done.stdout
    assert re.search(r"×10 from the start: [\d.]+ % seen, median \dm.*, \d+ bad requests served", done.stdout)
    shown = unescape(page.read_text())
    for line in done.stdout.splitlines()[1:5]:
        assert line.strip() in shown
    assert shown.count("<svg") == 4
    assert not re.search(r"(?:href|src)=\"?http|@import|url\(http", shown)


def test_json_holds_every_number_and_the_verdict(desk: Desk, plan_file: Write, history: Path) -> None:
    """One document, and the same one is in the journal."""
    file = plan_file(*COMPARED)
    done = desk.canary("plan", "backtest", str(file), "--history", str(history), "--json")
    told = json.loads(done.stdout)
    assert told["passes"] is True
    (phase,) = told["phases"]
    assert phase["falsely"]["of"] == 720
    assert [rule["literal"] for rule in phase["rules"]] == [False, False, True]
    assert [one["times"] for one in phase["rules"][1]["detected"]] == [1.5, 2.0, 5.0, 10.0]
    stream = f"{BACKTESTS}{rules_hash(load_plan(file).plan)}"
    (entry,) = desk.with_journal(lambda journal: journal.read(stream))
    assert entry.data == told
    assert desk.canary("status").stdout.startswith("no rollout in this journal yet")


def test_a_plan_that_does_not_pass_is_told_what_to_change(desk: Desk, plan_file: Write, tmp_path: Path) -> None:
    """Exit code 0: the answer was found, and it is no."""
    short = tmp_path / "short.csv"
    short.write_text(export(0.004, hours=1, pods=3))
    done = desk.canary("plan", "backtest", str(plan_file(*COMPARED)), "--history", str(short))
    assert done.exit_code == 0
    assert "DOES NOT PASS" in done.stdout
    assert "too few windows to be sure (without a false one, 528 would be enough)" in done.stdout


def test_a_rule_without_a_history_does_not_pass(desk: Desk, plan_file: Write, history: Path) -> None:
    """It is named, with what the history has."""
    signals = {**PLAN["signals"], "times": {"histogram": "request_seconds"}}
    file = plan_file([{"times": "p95 < 200ms"}], [{"errors": "worse than baseline"}], signals=signals)
    done = desk.canary("plan", "backtest", str(file), "--history", str(history))
    assert "does not pass, since times could not be tested" in done.stdout
    assert "times p95 < 200ms: not tested, the history has no measure 'times'; it has: errors" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at,pod,total\n1,a,1\n", "has no column 'measure'; it has: at, pod, total"),
        ("", "is no export: No columns to parse from file"),
        ("at,pod,measure,total\n2026-03-01T12:00:00,a,errors,1\n", "without a time zone"),
        ("at,pod,measure,total\n1772323200000,a,errors,1\n", "no time in unix seconds"),
        ("at,pod,measure,total,le_inf_\n1,a,errors,1,2\n", "'le_inf_' names no upper edge"),
        ("at,pod,measure,total\n1,a,errors,1\n", "holds less than a minute of samples"),
    ],
)
def test_what_is_no_export_is_refused(desk: Desk, plan_file: Write, tmp_path: Path, text: str, said: str) -> None:
    """The file, what is wrong, and what would be right."""
    file = tmp_path / "bad.csv"
    file.write_text(text)
    done = desk.canary("plan", "backtest", str(plan_file(*COMPARED)), "--history", str(file))
    assert isinstance(done.exception, BadUsage)
    assert said in str(done.exception)
    assert done.exception.fix


def test_a_missing_file_and_a_plan_that_judges_nothing_are_refused(desk: Desk, plan_file: Write, history: Path) -> None:
    """Before anything is read, or as soon as it is."""
    done = desk.canary("plan", "backtest", str(plan_file(*COMPARED)), "--history", "nowhere.csv")
    assert isinstance(done.exception, BadUsage)
    assert "nowhere.csv cannot be read: No such file" in str(done.exception)
    staging, _, full = PLAN["phases"]
    nothing = plan_file(*COMPARED)
    nothing.write_text(json.dumps({**PLAN, "phases": [staging, full]}))
    done = desk.canary("plan", "backtest", str(nothing), "--history", str(history))
    assert isinstance(done.exception, BadUsage)
    assert "judges nothing while only some users have the candidate" in str(done.exception)


@pytest.mark.parametrize("past", [[], ["--history", "a.csv", "--last", "1h"]])
def test_a_backtest_has_one_past(desk: Desk, plan_file: Write, past: list[str]) -> None:
    """Files, or the plan's Prometheus."""
    done = desk.canary("plan", "backtest", str(plan_file(*COMPARED)), *past)
    assert isinstance(done.exception, BadUsage)
    assert "give either --history EXPORT, or --last TIME" in str(done.exception)


# --- what a file holds ----------------------------------------------------------------------------------------


def read(tmp_path: Path, text: str) -> History:
    file = tmp_path / "one.csv"
    file.write_text(text)
    return gathered([file]).history()


ROWS = ("0,a,errors,10,1", "15,a,errors,20,2", "60,a,errors,40,2")


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+02:00"])
def test_times_may_be_rfc_3339_in_any_zone(tmp_path: Path, zone: str) -> None:
    """They are the same moments as unix seconds."""
    hours = {"Z": 12, "+00:00": 12, "+02:00": 14}[zone]
    rows = [f"2026-03-01T{hours}:00:{second}{zone},a,errors,{second},0" for second in ("00", "15", "30", "45")]
    history = read(
        tmp_path, "\n".join(["at,pod,measure,total,bad", *rows, f"2026-03-01T{hours}:01:00{zone},a,errors,99,0"])
    )
    assert history.start == 1_772_366_400
    assert history.measures["errors"].values[0, :, 0].tolist() == [15, 15, 15, 54]


def test_rows_that_cannot_be_read_are_counted_and_passed_over(tmp_path: Path) -> None:
    """A broken time, a broken number, no pod."""
    broken = ("when,a,errors,1,1", "30,a,errors,many,2", "45,,errors,3,3")
    history = read(tmp_path, "\n".join(["at,pod,measure,total,bad", *ROWS, *broken]))
    assert history.measures["errors"].values[0, :, 0].tolist() == [10, 0, 0, 20]
    assert history.noted.broken == 3


def test_buckets_have_a_column_each_and_measures_may_come_in_files_of_their_own(tmp_path: Path) -> None:
    """Cells of another measure's columns stay empty."""
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("at,pod,measure,total,bad,le_0.25,le_1\n0,a,times,0,,0,0\n60,a,times,9,,5,8\n0,a,errors,1,1,,\n")
    other.write_text("at,pod,measure,total,bad\n60,a,errors,8,2\n")
    history = gathered([one, other]).history()
    assert history.measures["times"].edges == (0.25, 1.0)
    assert history.measures["times"].values[0, 3].tolist() == [9, 0, 5, 8]
    assert not history.measures["times"].says_bad
    assert history.measures["errors"].values[0, 3].tolist() == [7, 1]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or to export CSV."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    (tmp_path / "one.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadUsage, match=r"pyarrow is not installed\n.*pip install pyarrow; or export CSV"):
        gathered([tmp_path / "one.parquet"])


def test_parquet_is_read_as_csv_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever pandas makes of the file: times with a zone, and texts."""
    frame = pd.DataFrame({
        "at": pd.to_datetime([0, 15, 60], unit="s", utc=True), "pod": "a", "measure": "errors", "total": [10, 20, 40],
        "bad": [1.0, 2.0, 2.0],
    })  # fmt: skip
    monkeypatch.setattr(pd, "read_parquet", lambda file: frame)
    history, same = gathered([tmp_path / "one.parquet"]).history(), read(tmp_path, "\n".join(
        ["at,pod,measure,total,bad", *ROWS]
    ))  # fmt: skip
    assert (history.measures["errors"].values == same.measures["errors"].values).all()
    assert history.noted == same.noted


def test_pandas_is_imported_by_the_command_alone() -> None:
    """`canary --help` does not wait for it."""
    look = "import sys, canary.cli.main; assert not {'pandas', 'numpy', 'matplotlib'} & sys.modules.keys()"
    subprocess.run(
        [sys.executable, "-c", look], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
