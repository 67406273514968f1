"""Evidence of many streams at once is that of each alone, and `steady` is what its formulas say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from canary.judge.odds import Array
from canary.judge.profiles import FINE, INDEPENDENT, STEADY, SWIFT, Profile
from canary.judge.wealth import RICH, Counts, Wealth

STREAMS, BLOCKS = 1000, 24


@pytest.fixture(scope="module")
def streams() -> Array:
    """(BLOCKS, 4, STREAMS): n, bad, other n, other bad. Silent arms, blocks without bad events, huge and tiny ones."""
    draw = np.random.default_rng(11)
    n = draw.poisson(draw.choice([0.5, 15, 150, 1e6], (1, STREAMS)), (BLOCKS, STREAMS))
    other = draw.poisson(draw.choice([0.5, 135, 1350, 1e7], (1, STREAMS)), (BLOCKS, STREAMS))
    share = draw.choice([0.0, 0.002, 0.01, 0.3, 1.0], (1, STREAMS))
    times = draw.choice([0.5, 1.0, 3.0], (1, STREAMS))
    bad, other_bad = draw.binomial(n, np.minimum(share * times, 1)), draw.binomial(other, share)
    return np.stack([n, bad, other, other_bad], axis=1).astype(np.float64)


def owned(state: Wealth, streams: Array) -> Array:
    """After each block, (BLOCKS, …)."""
    found = []
    for at, block in enumerate(streams):
        state = state.add(Counts(*block), at // 4, BLOCKS - at)
        found.append(state.owned)
    return np.array(found)


@pytest.mark.parametrize("profile", [STEADY, SWIFT, INDEPENDENT, FINE], ids=["steady", "swift", "independent", "green"])
def test_a_thousand_streams_at_once_are_a_thousand_streams(profile: Profile, streams: Array) -> None:
    """Row by row the same evidence, whatever the neighbours are."""
    together = owned(Wealth.start(profile, shape=(STREAMS,)), streams)
    alone = np.stack([owned(Wealth.start(profile), streams[..., row]) for row in range(STREAMS)], axis=-1)
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=0)


def test_one_bad_event_is_worth_its_likelihood_ratio_to_the_exact_form() -> None:
    """One of ten requests was the canary's, and so was the bad one; without bad events nothing is learnt."""
    ratios = np.array(INDEPENDENT.better) * 100 / (np.array(INDEPENDENT.better) * 10 + 90)
    after = Wealth.start(INDEPENDENT).add(Counts.of(10, 1, 90, 0), 0)
    assert float(after.owned) == pytest.approx(0.4 + 0.6 * float(ratios.mean()))
    for counts in (Counts.of(10, 0, 90, 0), Counts.of(0, 0, 90, 3), Counts.of(10, 3, 0, 0)):
        assert float(Wealth.start(INDEPENDENT).add(counts, 0).owned) == pytest.approx(1.0)


def test_the_exact_form_stays_finite() -> None:
    """A flood of bad events on one arm, block after block."""
    state = Wealth.start(INDEPENDENT, shape=(2,))
    for _ in range(20):
        state = state.add(Counts.of([1e6, 1e6], [1e6, 0], [1e7, 1e7], [0, 1e7]), 0)
    assert np.isfinite(state.owned).all()
    assert state.owned[0] == pytest.approx(RICH)
    assert 0 < state.owned[1] < 1


LANES = ((1.35, 0.90, 0.6), (1.10, 0.20, 0.4))
TILTS = (1.3, 1.7, 2.5, 4, 8, 25)


def theta(w: float, n_c: float, n_b: float, bad: float) -> float:
    """The largest mean share of the bad events, for odds w ≥ 1."""
    whole = w * n_c + n_b
    if bad == 1:
        return w * n_c / whole
    b = whole + (w - 1) * (bad - 1)
    root = math.sqrt(b * b - 4 * (w - 1) * (1 - 1 / bad) * w * n_c * bad)
    return min(2 * w * n_c / (b + root), w * n_c / whole)


@dataclass
class Plain:
    """`steady` with loops and floats."""

    cash: list[float] = field(default_factory=lambda: [v * 0.3 for _, _, v in LANES])
    money: list[list[float]] = field(default_factory=lambda: [[v * 0.7 / 6] * 6 for _, _, v in LANES])
    scrape: int = 0
    minute: int = -1
    began: float = 1.0

    def total(self) -> float:
        return sum(self.cash) + sum(map(sum, self.money))

    def add(self, n_c: float, x_c: float, n_b: float, x_b: float, minute: int) -> float:
        if minute != self.minute:
            self.minute, self.began = minute, self.total()
        if self.scrape and self.scrape % 8 == 0:
            for lane in range(2):
                part = 0.1 * self.cash[lane]
                self.cash[lane] -= part
                self.money[lane] = [money + part / 6 for money in self.money[lane]]
        self.scrape += 1
        if n_c and n_b and x_c + x_b:
            self.bet(n_c, n_b, x_c + x_b, x_c / (x_c + x_b))
        most = min(9.9 * self.began, 1e15)
        if self.total() > most:
            scale = most / self.total()
            self.cash = [scale * each for each in self.cash]
            self.money = [[scale * each for each in lane] for lane in self.money]
        return self.total()

    def bet(self, n_c: float, n_b: float, bad: float, y: float) -> None:
        for lane, (m, cap, _) in enumerate(LANES):
            base = m * n_c / (m * n_c + n_b)
            for place, g in enumerate(TILTS):
                tilted = m * g * n_c / (m * g * n_c + n_b)
                c = min(1 - ((1 - tilted) / (1 - base)) ** bad, cap)
                self.money[lane][place] *= 1 - c + c * y / theta(m, n_c, n_b, bad)


def test_steady_is_what_its_formulas_say(streams: Array) -> None:
    """Written a second time, stream by stream."""
    told = owned(Wealth.start(STEADY, shape=(STREAMS,)), streams)
    for row in range(0, STREAMS, 5):
        plain = Plain()
        again = [plain.add(*map(float, block[:, row]), at // 4) for at, block in enumerate(streams)]
        np.testing.assert_allclose(told[:, row], again, rtol=1e-9, atol=0)
