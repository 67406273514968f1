"""From raw counters to windows: what odd exports become, and that nothing is left out in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import BadUsage
from canary.judge.backtest.history import Gathering, History, Noted
from canary.judge.backtest.windows import Windows
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Signal

ERRORS = {"errors": Signal(counter="errors_total", bad={"status": "5.."})}
ARMS = Arms(canary={"version": "b"}, baseline={"version": "a"})


def gathered(*samples: tuple[str, float, float], bad: float = 0.0) -> History:
    """A history of one measure from (pod, at, total)."""
    found = Gathering()
    for pod, at, total in samples:
        found.add(pod, "errors", np.array([at]), {"total": np.array([total]), "bad": np.array([bad])})
    return found.history()


def totals(history: History, pod: int = 0) -> list[float]:
    return [float(value) for value in history.measures["errors"].values[pod, :, 0]]


def steady(pods: int, blocks: int, gone: dict[int, range] | None = None) -> History:
    """Pods that count 10 a block; some are gone for some blocks."""
    found = Gathering()
    for pod in range(pods):
        at = [block for block in range(blocks + 1) if block not in (gone or {}).get(pod, ())]
        counted = {"total": 10.0 * np.array(at), "bad": 0.0 * np.array(at)}
        found.add(f"pod-{pod}", "errors", 15.0 * np.array(at), counted)
    return found.history()


def test_increments_belong_to_the_block_in_which_they_were_scraped() -> None:
    """A block's end belongs to it; the first sample adds nothing."""
    history = gathered(("a", 0, 100), ("a", 15, 103), ("a", 20, 104), ("a", 60, 110))
    assert totals(history) == [3, 1, 0, 6]
    assert list(history.sampled[0]) == [True, True, False, True]


def test_a_counter_that_falls_has_restarted_and_counts_from_nothing() -> None:
    """Its new value is the increment, and the restart is noted."""
    history = gathered(("a", 0, 100), ("a", 15, 120), ("a", 30, 7), ("a", 60, 9))
    assert totals(history) == [20, 7, 0, 2]
    assert history.noted == Noted(samples=4, restarts=1)


def test_order_does_not_matter_and_a_time_counts_once() -> None:
    """The first sample of a time is kept, the second noted."""
    history = gathered(("a", 60, 40), ("a", 30, 20), ("a", 0, 0), ("a", 30, 25), ("a", 15, 10))
    assert totals(history) == [10, 10, 0, 20]
    assert history.noted.twice == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1.0])
def test_what_no_counter_can_be_is_passed_over_and_noted(broken: float) -> None:
    """The increment is that between its neighbours."""
    history = gathered(("a", 0, 0), ("a", 15, broken), ("a", 60, 40))
    assert totals(history) == [0, 0, 0, 40]
    assert history.noted.broken == 1


def test_nothing_is_counted_across_a_long_silence() -> None:
    """After more than five minutes a counter begins anew, as in a live read."""
    history = gathered(("a", 0, 0), ("a", 15, 5), ("a", 330, 900), ("a", 345, 903), ("a", 645, 904))
    assert sum(totals(history)) == 5 + 3 + 1
    assert history.noted.silences == 1


def test_a_history_of_nothing_is_refused() -> None:
    """Less than a minute cannot be told from nothing."""
    with pytest.raises(BadUsage, match="less than a minute"):
        Gathering().history()
    with pytest.raises(BadUsage, match="less than a minute"):
        gathered(("a", 10, 1), ("a", 30, 2))


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 50)), min_size=2, max_size=30))
def test_increments_are_those_of_every_other_source(samples: list[tuple[int, int]]) -> None:
    """Whatever the order, the restarts and the repetitions: as the live judge would have read them."""
    samples = [(0, 0), *samples, (315, 0)]
    history = gathered(*(("a", float(at), float(total)) for at, total in samples))
    kept: dict[int, int] = {}
    for at, total in samples:
        kept.setdefault(at, total)
    series = Series("errors_total", {"version": "a"}, tuple((float(at), float(kept[at])) for at in sorted(kept)))
    scrapes = increments([series], ERRORS, ARMS, 0.0, 315.0)
    expected = [0.0] * history.blocks
    for scrape in scrapes:
        expected[int(np.ceil(scrape.at / 15)) - 1] += scrape.signals["errors"]["baseline"].total
    assert totals(history) == expected


def test_each_pod_is_the_canary_of_each_window() -> None:
    """Back to back, against the sum of all others."""
    windows = Windows.of_length(steady(3, 24), 8)
    assert (windows.of, windows.kept, len(windows.pods)) == (3, 3, 9)
    (batch,) = windows.batches(steady(3, 24))
    canary, baseline = batch.counts["errors"][0]
    assert (canary == 10).all()
    assert (baseline == 20).all()


def test_windows_begin_at_full_minutes() -> None:
    """A length of six blocks takes two minutes, so that clock minutes fall alike in every window."""
    assert sorted(set(Windows.of_length(steady(2, 24), 6).starts.tolist())) == [0, 8, 16]


def test_what_is_left_out_is_counted() -> None:
    """A window without scrapes, one with a single pod, and pods that come or go within one."""
    gone = {0: range(9, 17), 1: range(9, 25), 2: range(9, 29)}
    windows = Windows.of_length(steady(3, 40, gone), 8)
    assert (windows.of, windows.gaps, windows.lonely) == (5, 1, 1)
    assert windows.came_or_went == 1
    assert windows.kept == 3
    assert len(windows.pods) == 3 + 2 + 3


def test_a_window_that_does_not_fit_is_refused() -> None:
    """Both lengths are named."""
    with pytest.raises(BadUsage, match="spans 2m, and one window takes 30m"):
        Windows.of_length(steady(2, 8), 120)


def test_slow_scrapes_are_no_gaps() -> None:
    """Every minute one scrape: nothing is missing that is usual."""
    found = Gathering()
    for pod in ("a", "b"):
        at = 60.0 * np.arange(13)
        found.add(pod, "errors", at, {"total": at, "bad": 0 * at})
    windows = Windows.of_length(found.history(), 16)
    assert (windows.of, windows.gaps, windows.kept) == (3, 0, 3)
