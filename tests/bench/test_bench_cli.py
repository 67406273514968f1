"""`python -m bench.judge`: exit codes, the out file, and going on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.judge import running
from bench.judge.__main__ import main
from bench.judge.cell import load

ROOT = Path(__file__).resolve().parents[2]
CELLS = {
    "cells": [
        {"rps": 50, "bad": 0.02, "ratio": [1, 5]},
        {"kind": "bound", "rps": 50, "bad": 0.002, "limit": 0.01},
        {"kind": "latency", "rps": 50, "slower": 0.5},
    ]
}


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.json"
    path.write_text(json.dumps(CELLS))
    return path


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without starting processes."""

    class Pool:
        def __init__(self, workers: int) -> None: ...

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *wrong: object) -> None: ...

        def submit(self, work, *given):  # type: ignore[no-untyped-def]
            from concurrent.futures import Future

            done: Future[object] = Future()
            done.set_result(work(*given))
            return done

        def shutdown(self, cancel_futures: bool) -> None: ...

    monkeypatch.setattr(running, "ProcessPoolExecutor", Pool)


def test_a_run_prints_every_cell_and_keeps_it(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shares of all judges, with intervals that hold them; and a picture."""
    out = cells.with_name("out.json")
    assert main(["--cells", str(cells), "--out", str(out), "--seed", "3", "--reps", "40"]) == 0
    printed = capsys.readouterr().out
    kept = json.loads(out.read_text())
    assert (kept["seed"], kept["reps"], len(kept["results"])) == (3, 40, 4)
    for each in kept["results"]:
        assert each["cell"] in printed
        for one in each["outcomes"]:
            shares = [one[name] for name in ("rollback", "green", "inconclusive")]
            assert sum(share["share"] for share in shares) == pytest.approx(1)
            assert all(share["low"] <= share["share"] <= share["high"] for share in shares)
    healthy, failing = (next(r for r in kept["results"] if ("ratio 5" in r["cell"]) is bad and "errors" in r["cell"])
                        for bad in (False, True))  # fmt: skip
    assert (healthy["null"], failing["null"]) == (True, False)
    assert {one["runs"] for one in healthy["outcomes"]} == {40}
    assert {one["runs"] for one in failing["outcomes"]} == {4}
    assert failing["outcomes"][0]["rollback"]["share"] == 1.0
    assert "steady" in out.with_suffix(".svg").read_text()


def test_what_is_finished_is_not_done_again(
    cells: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is added to, in whatever order; the same cell and seed is the same result alone."""
    out, whole = cells.with_name("out.json"), cells.with_name("whole.json")
    assert main(["--cells", str(cells), "--out", str(whole), "--reps", "20"]) == 0
    kept = running.Kept(out, 1, 20)
    last = load(cells)[-1]
    kept.add(running.result(last, 1, 20))
    done: list[str] = []
    once = running.result

    def counted(cell: running.AnyCell, seed: int, reps: int) -> object:
        done.append(cell.title)
        return once(cell, seed, reps)

    monkeypatch.setattr(running, "result", counted)
    assert main(["--cells", str(cells), "--out", str(out), "--reps", "20"]) == 0
    assert done == [cell.title for cell in load(cells)[:-1]]
    both = [sorted(json.loads(path.read_text())["results"], key=lambda each: each["cell"]) for path in (out, whole)]
    assert both[0] == both[1]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--reps", "21"], "holds results of seed 1 and 20 reps"),
        (["--seed", "2"], "holds results of seed 1 and 20 reps"),
        (["--reps", "0"], "--reps 0"),
    ],
)
def test_results_of_another_seed_are_not_mixed(
    cells: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with what to do."""
    out = cells.with_name("out.json")
    running.Kept(out, 1, 20).add(running.result(load(cells)[0], 1, 20))
    before = out.read_text()
    assert main(["--cells", str(cells), "--out", str(out), *more]) == 2
    assert told in capsys.readouterr().err
    assert out.read_text() == before


def test_a_file_that_is_something_else_is_left_alone(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["--cells", str(cells), "--out", str(cells)]) == 2
    assert "holds no results" in capsys.readouterr().err
    assert json.loads(cells.read_text()) == CELLS


@pytest.mark.parametrize("arguments", [[], ["--cells", "nowhere.json", "--out", "out.json"], ["--peek"]])
def test_bad_usage_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    """As a program; nothing is written."""
    command = [sys.executable, "-m", "bench.judge", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert not (ROOT / "out.json").exists()
