"""Each judge does what its rule says, on slots written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.judge import kayenta
from bench.judge.cell import Bound, Errors
from bench.judge.decisions import NEVER, Decisions
from bench.judge.ours import BOUNDS, OURS
from bench.judge.rivals import RIVALS
from bench.judge.scrapes import SLOTS, Slots, scraped
from canary.judge.profiles import FINE, STEADY
from canary.judge.wealth import Counts, Wealth

CELL = Errors(rps=100, bad=0.01)


def slots(bad: Any, other_bad: Any = 1.0, n: Any = 100.0, other_n: Any = 900.0) -> Slots:
    """One run; numbers are for every slot, sequences for every minute."""
    each = [
        np.repeat(np.broadcast_to(np.asarray(one, dtype=float), (30,)), 4)[None] for one in (n, bad, other_n, other_bad)
    ]
    return Slots(*each, served=np.cumsum(each[1], -1))


def asked(judge: str, seen: Slots, cell: Errors | Bound = CELL) -> tuple[float, float]:
    decided: Decisions = {**OURS, **RIVALS, **kayenta.KAYENTA, **BOUNDS}[judge](cell, seen)
    return float(decided.rollback[0]), float(decided.green[0])


def only(minutes: set[int], bad: float) -> list[float]:
    """`bad` in these minutes, counted from 1."""
    return [bad if minute in minutes else 0.0 for minute in range(1, 31)]


@pytest.mark.parametrize(
    ("judge", "bad", "rolled_back"),
    [
        ("Argo tuned", only({1, 2, 3}, 3), NEVER),
        ("Argo tuned", only({1, 2, 3, 30}, 3), 1800),
        ("Argo tuned", only({2, 4, 6, 8}, 2), NEVER),
        ("Argo static", only({2, 4, 6, 8}, 5), NEVER),
        ("Argo static", only({2, 4, 6, 8}, 6), 480),
        ("Flagger tuned", only({1, 2, 3, 4}, 3), NEVER),
        ("Flagger tuned", only({1, 2, 3, 4, 9}, 3), 600),
        ("Flagger tuned", only({1, 2, 3, 4, 30}, 3), NEVER),
        ("Flagger static", only({1, 2, 3, 4, 9}, 1), NEVER),
        ("Flagger static", only({1, 2, 3, 4, 9}, 2), 600),
    ],
)
def test_thresholds_count_failed_minutes(judge: str, bad: list[float], rolled_back: float) -> None:
    """Argo fails at the fourth; Flagger acts on the fifth, a look later. What is not failed is promoted at the end."""
    assert asked(judge, slots(bad)) == (rolled_back, NEVER if rolled_back < NEVER else 1800)


def test_a_minute_without_requests_fails_the_thresholds() -> None:
    """Four for one, five for the other."""
    silent = slots(0.0, n=0.0)
    assert asked("Argo tuned", silent)[0] == 240
    assert asked("Flagger tuned", silent)[0] == 360


def test_the_z_test_is_asked_every_minute_or_once() -> None:
    """An excess that goes away again is believed by who peeks."""
    early = slots([3.0] + [0.0] * 29, other_bad=2.0)
    assert asked("repeated z", early) == (60, NEVER)
    assert asked("fixed z", early) == (NEVER, 1800)
    assert asked("fixed z", slots(5.0))[0] == 1800


def test_growthbook_waits_for_its_sample_and_for_a_failing_control() -> None:
    """No error on the control can never trigger it."""
    assert asked("GrowthBook", slots(50.0, other_bad=0.0)) == (NEVER, 1800)
    assert asked("GrowthBook", slots(20.0, other_bad=9.0))[0] == 60
    assert asked("GrowthBook", slots(1.0, other_bad=0.4, n=1.0, other_n=9.0))[0] == 240
    assert asked("GrowthBook", slots(1.0, other_bad=9.0)) == (NEVER, 1800)


def test_growthbooks_bound_is_its_formula() -> None:
    """One look by hand: the difference must exceed SE · √(2(nρ²+1)/(nρ²) · ln(1 + √(nρ²+1)/2α)), and not less."""
    q, total = 0.01, 40_000.0
    log = -2 * np.log(0.1)
    rho = (log + np.log(1 + log)) / 5000
    width = np.sqrt(2 * (total * rho + 1) / (total * rho) * np.log(1 + np.sqrt(total * rho + 1) / 0.1))
    found = set()
    for bad in np.arange(60, 100, 0.1):
        p = bad / 4000
        harmful = p - q > width * np.sqrt(p * (1 - p) / 4000 + q * (1 - q) / 36_000)
        seen = slots([bad / 4, *[0.0] * 29], other_bad=90.0, n=1000.0, other_n=9000.0)
        assert (asked("GrowthBook", seen)[0] == 60) is bool(harmful)
        found.add(bool(harmful))
    assert found == {True, False}


def test_the_oracle_keeps_alpha_where_it_was_told_the_truth() -> None:
    """Calibrated on streams of its own, tried on scraped ones."""
    seen = scraped(CELL, np.random.default_rng(9), 2000)
    assert 0.002 < np.isfinite(RIVALS["oracle"](CELL, seen).rollback).mean() < 0.025


def test_kayenta_is_asked_only_where_it_could_say_high() -> None:
    """And says in every run what the rule says; ties, constants and gaps included."""
    draw = np.random.default_rng(4)
    rate = draw.choice([0.02, 0.3, 2.0], (400, 1))
    ours = draw.poisson(rate * draw.choice([1.0, 2.0, 4.0], (400, 1)), (400, 30)) / 4
    theirs = draw.poisson(rate * 9, (400, 30)) / 36
    ours[:20], theirs[10:30], ours[30:40, 3] = 0.25, 0.125, np.nan
    told = kayenta.high(ours, theirs)
    assert told.tolist() == [kayenta.one_high(*run) for run in zip(ours, theirs, strict=True)]
    assert 20 < told.sum() < 300


def test_kayenta_promotes_but_not_without_data() -> None:
    """At the end; who peeks rolls back at the first look that says high."""
    noise = np.random.default_rng(1).poisson(1.0, 30)
    assert asked("Kayenta end", slots(noise, other_bad=9 * noise)) == (NEVER, 1800)
    assert asked("Kayenta end", slots(noise + 5, other_bad=9 * noise)) == (1800, NEVER)
    assert asked("Kayenta peek", slots(noise + 5, other_bad=9 * noise)) == (300, NEVER)
    assert asked("Kayenta end", slots(0.0, n=0.0)) == (NEVER, NEVER)


def test_steady_is_judged_by_the_code_that_judges_one_canary() -> None:
    """Slot by slot, until the evidence reaches 100 against it or 20 for it."""
    seen = slots([2.0] * 3 + [8.0] * 27)
    harm, fine = Wealth.start(STEADY), Wealth.start(FINE, 0.5)
    rolled_back = green = NEVER
    for at in range(SLOTS):
        counts = Counts.of(*(each[0, at] for each in (seen.n, seen.bad, seen.other_n, seen.other_bad)))
        harm, fine = harm.add(counts, at // 4), fine.add(counts.swapped, at // 4)
        rolled_back = (at + 1) * 15 if harm.owned >= 100 and rolled_back == NEVER else rolled_back
        green = (at + 1) * 15 if fine.owned >= 20 and green == NEVER else green
    assert asked("steady", seen) == (rolled_back, green)
    assert rolled_back < 1800


def test_a_canary_that_fails_less_is_green() -> None:
    """At evidence of 20, and never rolled back."""
    seen, fine, when = slots(0.0), Wealth.start(FINE, 0.5), 0
    while fine.owned < 20:
        fine, when = fine.add(Counts.of(900, 1, 100, 0), when // 60), when + 15
    assert asked("steady", seen) == (NEVER, when)


def test_nobody_here_is_green_of_a_canary_that_fails_all() -> None:
    """All three roll it back, the exact form first."""
    found = {judge: asked(judge, slots(90.0)) for judge in OURS}
    assert {green for _, green in found.values()} == {NEVER}
    assert found["independent"][0] <= found["swift"][0] <= found["steady"][0] <= 180


def test_a_limit_is_judged_from_both_sides() -> None:
    """Clusters make it slower; a literal threshold waits for its floor of requests only."""
    cell = Bound(kind="bound", rps=100, bad=0.0, limit=0.01)
    good, poor = slots(0.0), slots(5.0)
    assert asked("bound", good, cell)[1] > asked("bound D=1", good, cell)[1]
    assert asked("bound", good, cell)[0] == NEVER
    assert asked("bound", poor, cell)[0] > asked("bound D=1", poor, cell)[0]
    assert asked("literal", poor, cell) == (75, NEVER)
    assert asked("literal", good, cell) == (NEVER, 1800)
