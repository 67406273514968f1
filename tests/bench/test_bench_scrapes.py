"""The simulated service: what its raw counters show is what was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.judge.cell import Errors
from bench.judge.scrapes import SLOTS, Slots, scraped
from bench.judge.traffic import TIMES, rates
from canary.judge.odds import Array


def cell(**fields: Any) -> Errors:
    return Errors.model_validate({"rps": 200.0, "bad": 0.05, **fields})


def seen(runs: int = 60, seed: int = 5, **fields: Any) -> Slots:
    return scraped(cell(**fields), np.random.default_rng(seed), runs)


def share(bad: Array, n: Array) -> float:
    return float(bad.sum() / n.sum())


def test_requests_and_bad_ones_are_as_many_as_asked_for() -> None:
    """By arm; the first and last slots are not whole."""
    slots = seen(ratio=2.0)
    inner = slice(5, SLOTS - 5)
    assert slots.n[:, inner].mean() / 15 == pytest.approx(20, rel=0.01)
    assert slots.other_n[:, inner].mean() / 15 == pytest.approx(180, rel=0.01)
    assert share(slots.bad, slots.n) == pytest.approx(0.10, rel=0.02)
    assert share(slots.other_bad, slots.other_n) == pytest.approx(0.05, rel=0.01)


def test_what_was_served_is_the_truth_and_not_what_was_scraped() -> None:
    """It grows from slot to slot, and to what the rates say, although restarts lose counts."""
    slots = seen(ratio=2.0, runs=200)
    assert (np.diff(slots.served) >= 0).all()
    assert slots.served[:, -1].mean() == pytest.approx(20 * 0.10 * 1800, rel=0.01)
    assert slots.bad.sum() < slots.served[:, -1].sum()


def test_scrapes_are_missed_and_made_up_for() -> None:
    """One pod: a slot without a scrape, then one that holds both; in about 1 % of the slots, and at their borders."""
    n = seen(runs=300).n
    empty = n == 0
    assert 0.005 < empty.mean() < 0.06
    after = n[:, 1:][empty[:, :-1] & ~empty[:, 1:]]
    assert np.median(after) == pytest.approx(2 * np.median(n), rel=0.1)


def test_a_restart_makes_no_negative_and_no_huge_increment() -> None:
    """Whatever the counters held before."""
    slots = seen(runs=400, rps=2000.0)
    for counts in (slots.n, slots.bad, slots.other_n, slots.other_bad):
        assert (counts >= 0).all()
    assert slots.other_n.max() < 1800 * 15 * 1.5
    assert (slots.bad <= slots.n).all()


def test_the_same_seed_is_the_same_stream() -> None:
    """And another one another."""
    np.testing.assert_array_equal(seen().bad, seen().bad)
    assert (seen().bad != seen(seed=6).bad).any()


def test_harm_begins_at_its_onset() -> None:
    """Ten minutes, then twice the share."""
    slots = seen(ratio=2.0, onset=10.0)
    assert share(slots.bad[:, :39], slots.n[:, :39]) == pytest.approx(0.05, rel=0.05)
    assert share(slots.bad[:, 42:], slots.n[:, 42:]) == pytest.approx(0.10, rel=0.05)


NATURES: list[dict[str, Any]] = [
    {"kind": "iid"},
    {"kind": "diurnal"},
    {"kind": "incident"},
    {"kind": "volatility"},
    {"kind": "ramp"},
    {"kind": "retries"},
    {"kind": "bursts", "seconds": 30.0, "phase": "random"},
    {"kind": "bursts", "seconds": 120.0},
    {"kind": "spread", "cv": 0.18},
    {"kind": "heavy"},
]


@pytest.mark.parametrize("nature", NATURES, ids=lambda nature: str(nature["kind"]))
def test_in_every_null_both_arms_fail_alike(nature: dict[str, Any]) -> None:
    """On average over many runs, the ratio of the arms' shares is 1."""
    slots = seen(runs=300, rps=50.0, bad=0.02, nature=nature)
    both = share(slots.bad, slots.n) / share(slots.other_bad, slots.other_n)
    assert both == pytest.approx(1.0, abs=0.05)


def test_a_ramp_goes_from_1_to_50_percent() -> None:
    """Of the traffic, six minutes each."""
    slots = seen(nature={"kind": "ramp"})
    steps = [slice(24 * step + 3, 24 * step + 22) for step in range(5)]
    parts = [share(slots.n[:, at], slots.n[:, at] + slots.other_n[:, at]) for at in steps]
    assert parts == pytest.approx([0.01, 0.05, 0.10, 0.25, 0.50], rel=0.03)


def test_a_warm_up_is_the_canarys_alone() -> None:
    """Five times as bad for two minutes."""
    slots = seen(nature={"kind": "warm-up"})
    assert share(slots.bad[:, 1:7], slots.n[:, 1:7]) == pytest.approx(0.25, rel=0.05)
    assert share(slots.bad[:, 10:], slots.n[:, 10:]) == pytest.approx(0.05, rel=0.05)
    assert share(slots.other_bad[:, 1:7], slots.other_n[:, 1:7]) == pytest.approx(0.05, rel=0.05)


def test_retries_come_in_clusters() -> None:
    """As many bad events, with the variance of clusters of one to four: E[S²]/E[S] = 3 times that of single ones."""
    plain, clustered = (
        seen(runs=300, bad=0.002).other_bad,
        seen(runs=300, bad=0.002, nature={"kind": "retries"}).other_bad,
    )
    inner = slice(5, SLOTS - 5)
    assert clustered[:, inner].mean() == pytest.approx(plain[:, inner].mean(), rel=0.03)
    assert clustered[:, inner].var() / plain[:, inner].var() == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize(("seconds", "phase"), [(15.0, "aligned"), (60.0, "aligned"), (60.0, "random")])
def test_a_burst_holds_its_multiplier_for_its_time(seconds: float, phase: str) -> None:
    """Mean 1, the variance of its gamma, and changes at the same moments on all pods only when aligned."""
    asked = cell(nature={"kind": "bursts", "seconds": seconds, "phase": phase})
    found = rates(asked, np.random.default_rng(3), 400)
    times = (found.bad[:, 1:] / found.requests[:, 1:] / 0.05)[..., TIMES >= 0]
    assert times.mean() == pytest.approx(1.0, abs=0.02)
    assert times.var() == pytest.approx(0.25, abs=0.02)
    changes = np.diff(times, axis=-1) != 0
    assert changes.mean() == pytest.approx(5 / seconds, rel=0.1)
    assert changes.any((0, 1)).mean() == pytest.approx(1.0 if phase == "random" else 5 / seconds, rel=0.1)


def test_a_spread_of_pods_is_for_good() -> None:
    """One multiplier a pod, of the deviation asked for."""
    found = rates(cell(nature={"kind": "spread", "cv": 0.32}), np.random.default_rng(3), 2000)
    shares = (found.bad[:, 1:] / found.requests[:, 1:] / 0.05)[..., TIMES >= 0]
    assert (shares == shares[..., :1]).all()
    assert shares[..., 0].std() == pytest.approx(0.32, rel=0.05)
