"""Ready-made numbers: how many windows decide, exactly."""

from __future__ import annotations

from itertools import product

import pytest

from canary.judge.power.cell import Setting
from canary.judge.power.signs import signs
from canary.judge.sign_trial import SignTrial
from canary.judge.terms import Settle, Terms
from canary.plan.model import WorseThanBaseline
from canary.plan.rules import trigger

RULE = trigger({"p95": "> 20% over baseline"})
assert isinstance(RULE, WorseThanBaseline)


def setting(minutes: int, alpha: float = 0.01, warm: float = 0.0) -> Setting:
    return Setting(Terms(alpha=alpha, settle=Settle(warm) if warm else None), 0.1, 4 * minutes, 1.0)


def test_six_windows_never_reach_one_percent() -> None:
    """rate[5m] over 30 minutes: at most 2⁶ = 64 to 1, and 100 are needed."""
    found = signs(RULE, 5.0, setting(30))
    assert (found.windows, found.window, found.detected) == (6, 300.0, None)
    assert found.to_fail > 6
    assert SignTrial(RULE, 5.0, windows=6, beyond=6).harm < 64 < 100


@pytest.mark.parametrize("minutes", [60, 300])
def test_as_many_windows_as_are_needed_all_on_one_side_decide(minutes: int) -> None:
    """And one less does not."""
    found = signs(RULE, 5.0, setting(minutes))
    assert SignTrial(RULE, 5.0, windows=found.to_fail, beyond=found.to_fail).harm >= 100
    assert SignTrial(RULE, 5.0, windows=found.to_fail - 1, beyond=found.to_fail - 1).harm < 100
    assert found.windows == minutes // 5


def test_the_power_is_that_of_every_way_the_windows_can_fall() -> None:
    """Counted one by one, for twelve windows."""
    found = signs(RULE, 5.0, setting(60))
    assert found.detected is not None
    exact = 0.0
    for way in product((False, True), repeat=12):
        beyond, chance, reached = 0, 1.0, False
        for number, over in enumerate(way, 1):
            beyond += over
            chance *= found.detected if over else 1 - found.detected
            reached = reached or SignTrial(RULE, 5.0, windows=number, beyond=beyond).harm >= 100
        exact += chance * reached
    assert found.power == pytest.approx(exact)
    assert found.power >= 0.9


def test_a_longer_phase_finds_a_smaller_share_of_windows() -> None:
    """And a warm-up takes its windows away."""
    short, long = signs(RULE, 1.0, setting(30)), signs(RULE, 1.0, setting(120))
    assert short.detected is not None
    assert long.detected is not None
    assert long.detected < short.detected
    assert signs(RULE, 1.0, setting(30, warm=600.0)).windows == 20


def test_a_day_of_minutes_is_reckoned_at_once() -> None:
    """1,440 windows; more than a half of them beyond the limit is found."""
    found = signs(RULE, 1.0, setting(1440))
    assert found.windows == 1440
    assert found.detected is not None
    assert 0.5 < found.detected < 0.65
