"""The report says where a promise is not kept, and never without the worst cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.judge import plot, report
from bench.judge.cell import Bound, Errors, Latency
from bench.judge.outcomes import Outcome, Result, Share
from bench.judge.running import result


def outcome(judge: str, rollback: int, green: int = 0, runs: int = 20_000) -> Outcome:
    shares = {"rollback": rollback, "green": green, "inconclusive": runs - rollback - green}
    counted = {name: Share.of(hits, runs) for name, hits in shares.items()}
    return Outcome(judge=judge, runs=runs, median=None, green_median=None, mean=1800.0, served=40.0, **counted)


def cell(name: str, *outcomes: Outcome, null: bool = True, as_bad: bool = False, in_scope: bool = True) -> Result:
    title = f"errors: rps 10, bad 0.01; {name}"
    return Result(cell=title, null=null, as_bad=as_bad, in_scope=in_scope, outcomes=outcomes)


@pytest.mark.parametrize(("hits", "kept"), [(0, True), (160, True), (180, False), (400, False)])
def test_a_promise_is_kept_when_the_upper_end_is_below_it(hits: int, kept: bool) -> None:
    """0.9 % of 20,000 runs may be 1 % or more."""
    assert (report.broken([cell("iid", outcome("steady", hits))]) == []) is kept


def test_only_what_was_promised_is_asked() -> None:
    """Not of other judges, nor out of scope; green only where it would be false."""
    bad = outcome("steady", 9000, 9000)
    assert report.broken([cell("x", outcome("Argo tuned", 9000)), cell("y", bad, in_scope=False)]) == []
    assert report.broken([cell("z", bad, null=False)]) == []
    (told,) = report.broken([cell("z", bad, null=False, as_bad=True)])
    assert told.startswith("steady, false green: errors: rps 10, bad 0.01; z: 45.0 % [")


def test_the_worst_cell_of_each_judge_comes_first() -> None:
    """In scope and out of it, both sides."""
    results = [
        cell("mild", outcome("steady", 2)),
        cell("wild", outcome("steady", 30)),
        cell("wilder", outcome("steady", 900), in_scope=False),
        cell("double", outcome("steady", 9000, 700), null=False, as_bad=True),
    ]
    told = list(report.lines(results))
    assert [line.split()[-1] for line in told[1:4]] == ["wild", "double", "wilder"]
    assert all(any(each.cell in line for line in told[4:]) for each in results)


def test_what_would_be_false_is_known_of_each_cell() -> None:
    """(a rollback, green): both at a limit itself."""
    cells = {
        Errors(rps=9, bad=0.01): (True, False),
        Errors(rps=9, bad=0.01, ratio=1.5): (False, False),
        Errors(rps=9, bad=0.01, ratio=2.0): (False, True),
        Bound(kind="bound", rps=9, bad=0.01, limit=0.01): (True, True),
        Bound(kind="bound", rps=9, bad=0.02, limit=0.01): (False, True),
        Latency(kind="latency", rps=9): (True, False),
        Latency(kind="latency", rps=9, slower=0.2, by=0.2): (True, True),
    }
    found = {each: result(each, 1, 1) for each in cells}
    assert {each: (one.null, one.as_bad) for each, one in found.items()} == cells


def test_a_picture_needs_a_healthy_cell_of_the_same_traffic(tmp_path: Path) -> None:
    """Without one there is nothing to compare with."""
    worse = cell("bad", outcome("steady", 20_000), null=False)
    assert not plot.draw([worse], tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()
    assert plot.draw([worse, cell("iid", outcome("steady", 30))], tmp_path / "one.svg")
    assert plot.points(worse, [worse, cell("iid", outcome("steady", 30)), cell("x", outcome("steady", 20))]) == {
        "steady": (0.0015, 40.0)
    }
    assert "false rollback" in (tmp_path / "one.svg").read_text()
