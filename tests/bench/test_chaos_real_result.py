"""The file of a long run of the real chaos: gone on with, and counted by the code it ran on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.chaos.real.result import Results, figures
from bench.chaos.real.script import BOUNDARIES, EFFECTS, SIDES, Round


def rollout(seconds: float, side: str = "after", victim: str = "flow", boundary: str = "expose up") -> dict[str, Any]:
    """As the oracle tells it."""
    kill = {"victim": victim, "signal": "KILL", "boundary": boundary, "side": side, "recovered": seconds}
    common = {"bad": True, "outcome": "rolled_back", "fail_to_zero": None, "late_raises": 0, "violations": []}
    return {**common, "overran": False, "struck_on_the_way": False, "kills": [kill]}


def test_a_run_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    """Numbers go on, kills are remembered, and the summary is over all of them."""
    Results(tmp_path, 5).add(Round(1, ()), 60.0, [rollout(20.0), rollout(40.0)])
    again = Results(tmp_path, 5)
    assert again.next_number == 2
    assert again.killed() == {"expose up after": 2}
    again.add(Round(2, ()), 60.0, [rollout(30.0)])
    summary = json.loads((tmp_path / "real-5.json").read_text())["summary"]
    assert summary["rollouts"] == 3
    assert summary["recovery"]["median"] == 30.0
    assert summary["effects"]["expose up"] == {"before": 0, "after": 3}


def test_other_strikes_count_apart(tmp_path: Path) -> None:
    """A killed guard, or a flow that is killed where there is no effect, says nothing of an effect's place."""
    results = Results(tmp_path, 5)
    results.add(Round(1, ()), 60.0, [rollout(20.0, victim="guard"), rollout(30.0, boundary="sampled"), rollout(40.0)])
    assert results.killed() == {"expose up after": 1}
    assert results.struck() == {"expose up after": 1, "sampled after": 1}
    summary = results.summary()
    assert summary["effects_recovery"] == {"n": 1, "max": 40.0}
    assert summary["recovery"]["n"] == 3
    assert summary["others"] == {"guard KILL": 1, "flow KILL": 1}


def test_kills_on_other_code_are_kept_and_do_not_count(tmp_path: Path) -> None:
    """What was shown of an older conductor says nothing of this one."""
    results = Results(tmp_path, 5)
    results.add(Round(1, ()), 60.0, [rollout(20.0)])
    results.rounds[0]["code"] = "0" * 64
    results.add(Round(2, ()), 60.0, [rollout(30.0, "before")])
    assert Results(tmp_path, 5).killed() == {"expose up before": 1}
    assert len(json.loads((tmp_path / "real-5.json").read_text())["rounds"]) == 2


def test_places_count_once_they_were_struck_five_times(tmp_path: Path) -> None:
    """Out of every boundary of an effect on both sides."""
    results = Results(tmp_path, 5)
    results.add(Round(1, ()), 60.0, [rollout(20.0)] * 4)
    assert results.summary()["effects_with_enough"] == 0
    results.add(Round(2, ()), 60.0, [rollout(20.0)])
    assert results.summary()["effects_with_enough"] == 1
    assert set(results.summary()["effects"]) == set(EFFECTS)
    assert set(results.summary()["others_by_place"]) == set(BOUNDARIES)
    assert len(EFFECTS) * len(SIDES) == 22


def test_the_table_tells_kills_by_place_and_how_long_it_took(tmp_path: Path) -> None:
    """For people, at the end of a run; also when there is nothing to tell yet."""
    results = Results(tmp_path, 5)
    assert "0 in all; 0 of 22 places 5 times" in "\n".join(results.table())
    results.add(Round(1, ()), 60.0, [rollout(20.0) | {"fail_to_zero": 0.1, "overran": True}, rollout(40.0)])
    told = "\n".join(results.table())
    assert f"  {'expose up':24}{0:8}{2:8}" in told
    assert "recovery: n 2, median 30.0 s, p95 39.0 s, p99 39.8 s, max 40.0 s" in told
    assert "FAIL → 0, undisturbed: n 1, max 0.1 s" in told
    assert "2 rollouts, 0 violations, 1 overran" in told


def test_a_conductor_that_dies_on_the_way_back_counts_apart(tmp_path: Path) -> None:
    """How soon a FAIL takes users off is one thing, how soon a guard does it for a dead conductor another."""
    results = Results(tmp_path, 5)
    slow = {"fail_to_zero": 25.0, "struck_on_the_way": True}
    results.add(Round(1, ()), 60.0, [rollout(1.0) | {"fail_to_zero": 0.1}, rollout(25.0) | slow])
    assert results.summary()["fail_to_zero"]["undisturbed"] == {"n": 1, "max": 0.1}
    assert results.summary()["fail_to_zero"]["struck on the way"] == {"n": 1, "max": 25.0}


def test_percentiles_of_few_figures() -> None:
    """None, one, and a hundred and one."""
    assert figures([]) == {"n": 0}
    assert figures([2.5]) == {"n": 1, "max": 2.5}
    assert figures([float(n) for n in range(101)]) == {"n": 101, "median": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
