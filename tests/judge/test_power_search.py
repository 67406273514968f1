"""The smallest harm that is found with 90 %, and whether a healthy release is promoted in time."""

from __future__ import annotations

import numpy as np
import pytest

from canary.judge.bound import Bound
from canary.judge.power.cell import Cell, Limits, Setting, cell_of
from canary.judge.power.facts import Known
from canary.judge.power.green import SEED, clean_for, green, healthy
from canary.judge.power.latency import LogNormal
from canary.judge.power.search import harmed, search
from canary.judge.terms import Settle, Terms
from canary.plan.model import Rule
from canary.plan.rules import criterion, trigger

LATENCY = LogNormal(0.06, 0.12, (0.05, 0.1, 0.15, 0.2, 0.3))
WORSE = trigger({"errors": "worse than baseline"})
BELOW = criterion({"errors": "< 1%"})
FRESH = 990_001


def setting(minutes: int = 15, exposure: float = 0.1, part: float = 1.0) -> Setting:
    return Setting(Terms(horizon=4 * minutes), exposure, 4 * minutes, part)


def rated(rps: float, rate: float) -> Known:
    return Known("rate", rps, rate)


def cell(rule: Rule, where: Setting, known: Known) -> Cell:
    found = cell_of(rule, where, known)  # type: ignore[arg-type]
    assert isinstance(found, Cell), found
    return found


def smallest(rule: Rule, where: Setting, known: Known) -> float:
    found = search(cell(rule, where, known), where).smallest
    assert found
    return found.factor


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        (WORSE, rated(10.0, 0.01)),
        (WORSE, rated(1000.0, 0.01)),
        (BELOW, rated(100.0, 0.002)),
        (criterion({"latency": "p95 < 200ms"}), Known("times", 20.0, None, LATENCY)),
        (trigger({"latency": "> 20% over baseline"}), Known("times", 100.0, None, LATENCY)),
    ],
    ids=["few errors", "many errors", "a limit", "a quantile", "slower"],
)
def test_what_is_printed_is_found_with_90_percent_in_fresh_runs(rule: Rule, known: Known) -> None:
    """True power between 0.87 and 0.93 (a standard error is 0.5 %), and as it is told."""
    where = setting()
    tried = cell(rule, where, known)
    found = search(tried, where).smallest
    assert found
    runs = harmed(tried, where, np.array([found.factor]), 3000, FRESH)
    assert 0.87 <= runs.reached[0] <= 0.93
    assert runs.reached[0] == pytest.approx(found.power, abs=0.03)
    assert np.median(runs.first[0]) == pytest.approx(found.seconds, abs=60)
    assert runs.bad[0].mean() == pytest.approx(found.bad, rel=0.1)


def test_the_same_question_has_the_same_answer() -> None:
    """Seeds are fixed: nobody can ask until it suits him."""
    tried = cell(WORSE, setting(), rated(30.0, 0.01))
    assert search(tried, setting()) == search(tried, setting())


def test_more_time_traffic_exposure_or_part_of_alpha_finds_less_harm() -> None:
    """Each by itself."""
    least = smallest(WORSE, setting(), rated(20.0, 0.01))
    assert smallest(WORSE, setting(minutes=45), rated(20.0, 0.01)) < 0.95 * least
    assert smallest(WORSE, setting(), rated(200.0, 0.01)) < 0.95 * least
    assert smallest(WORSE, setting(exposure=0.5), rated(20.0, 0.01)) < 0.95 * least
    assert smallest(WORSE, setting(part=0.05), rated(20.0, 0.01)) > 1.02 * least


def test_two_minutes_find_nothing_however_bad() -> None:
    """`steady` never decides within two clock minutes: no factor is printed then."""
    found = search(cell(WORSE, setting(minutes=2), rated(1000.0, 0.01)), setting(minutes=2))
    assert found.smallest is None
    assert {power for _, power in found.curve} == {0.0}


def test_a_long_phase_is_imagined_less_often_and_looked_at_less_often() -> None:
    """Four hours: 200 runs and 120 looks, and the last block is looked at."""
    where = setting(minutes=240)
    runs = harmed(cell(BELOW, where, rated(20.0, 0.002)), where, np.array([1.0, 50.0]), 400, FRESH)
    assert runs.first.shape == (2, 200)
    assert np.count_nonzero(runs.holds[1]) <= 121
    assert runs.holds[1, -1] == 1.0
    assert runs.reached[0] == 0.0


def test_a_warm_up_is_no_evidence() -> None:
    """Nothing is decided within it, and the time is told from the beginning of the phase."""
    where = Setting(Terms(settle=Settle(600.0), horizon=80), 0.1, 80, 1.0)
    runs = harmed(cell(WORSE, where, rated(100.0, 0.01)), where, np.array([50.0]), 200, FRESH)
    assert runs.reached[0] == 1.0
    assert runs.first.min() > 600.0


def test_plan_time_that_runs_faster_has_fewer_requests_a_block() -> None:
    """Sixty times as fast: a block of plan time is a quarter of a real second."""
    where = Setting(Terms(pace=60.0, horizon=60), 0.1, 60, 1.0)
    tried = cell(WORSE, where, rated(600.0, 0.01))
    assert (tried.canary, tried.baseline) == (15.0, 135.0)


def test_a_healthy_release_goes_green_where_its_rate_is_far_below_the_limit() -> None:
    """0.2 % against 1 % at 100 rps: nearly always, after some minutes. At the limit itself hardly ever."""
    where = setting(minutes=30)
    good = green(cell(BELOW, where, rated(100.0, 0.002)), where)
    assert good.share > 0.99
    assert good.seconds is not None
    assert 180 < good.seconds < 420
    bad = green(cell(BELOW, where, rated(100.0, 0.01)), where)
    assert bad.share < 0.05
    assert bad.seconds is None


def test_green_is_what_is_shown_when_the_phase_ends() -> None:
    """Evidence that was there for a moment and went away again promotes nobody."""
    where = setting(minutes=30)
    near = cell(BELOW, where, rated(100.0, 0.006))
    for_a_moment = healthy(near, where, where.blocks, 2000, SEED).reached[0]
    assert 0.0 < green(near, where).share < for_a_moment


@pytest.mark.parametrize(("limit", "cluster"), [(0.01, 4), (0.01, 1), (0.05, 4)])
def test_so_many_clean_requests_and_not_one_less_show_a_limit(limit: float, cluster: int) -> None:
    """By the judge's own evidence."""
    needed = clean_for(Limits(limit, cluster), 20.0)
    start = Bound.start(limit, cluster)
    assert float(start.add(needed, 0.0).fine) >= 20.0
    assert float(start.add(needed - 1, 0.0).fine) < 20.0


def test_a_limit_of_one_percent_in_clusters_of_four_needs_1493_clean_requests() -> None:
    """The best bet alone would need 1,192; the judge spreads its money over four."""
    assert clean_for(Limits(0.01, 4), 20.0) == 1493


@pytest.mark.parametrize(
    ("rule", "known", "told"),
    [
        (WORSE, Known("rate", None, 0.01), "give --rps"),
        (WORSE, Known("rate", 10.0, None), "give --error-rate"),
        (WORSE, Known("rate", 10.0, 0.0), "no bad event at all"),
        (WORSE, Known("times", 10.0, 0.01), "give --latency errors=P50/P95"),
        (WORSE, Known("ratios", 10.0, 0.01), "cannot be foreseen"),
        (trigger({"errors": "p50 > 20%"}), Known("ratios", 10.0, None), "give --error-rate"),
    ],
)
def test_what_is_missing_is_named(rule: Rule, known: Known, told: str) -> None:
    """With the option that gives it."""
    found = cell_of(rule, setting(), known)  # type: ignore[arg-type]
    assert isinstance(found, str)
    assert told in found


def test_with_everybody_on_the_candidate_nothing_is_compared() -> None:
    """A limit can still be judged."""
    alone = setting(exposure=1.0)
    assert "nobody is on the baseline" in str(cell_of(WORSE, alone, rated(10.0, 0.01)))  # type: ignore[arg-type]
    assert cell(BELOW, alone, rated(10.0, 0.01)).baseline == 0.0


def test_a_limit_that_is_no_edge_is_said_on_both_sides() -> None:
    """Rolls back on the next edge above, goes green on the next below; and where there is none."""
    between = criterion({"latency": "p95 < 180ms"})
    assert cell(between, setting(), Known("times", 10.0, None, LATENCY)).caveat == (
        "180 ms is no bucket edge: rolls back on what is above 200 ms, goes green on what is below 150 ms; "
        "an edge at 180 ms would tell"
    )
    beyond = criterion({"latency": "p95 < 2s"})
    assert "can never roll back" in cell(beyond, setting(), Known("times", 10.0, None, LATENCY)).caveat
    at_one = criterion({"latency": "p95 < 200ms"})
    assert cell(at_one, setting(), Known("times", 10.0, None, LATENCY)).caveat == ""
