"""The enumeration finds no form that can be expected to grow, and would find one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judge import audit
from bench.judge.__main__ import main
from canary.judge.odds import Array
from canary.judge.profiles import FINE, STEADY
from canary.judge.wealth import Counts, Wealth


def test_no_form_of_evidence_is_expected_to_grow() -> None:
    """Both sides, every strategy, small blocks; and the bets are fair to a hair at the allowed odds."""
    found = list(audit.forms(4, 9))
    assert {each.form.split(",")[0] for each in found} == {"steady", "swift", "green", "independent", "bound"}
    assert [each for each in found if each.most > audit.LIMIT] == []
    assert max(each.most for each in found) > 1 - 1e-9


@pytest.mark.parametrize(("profile", "odds"), [(STEADY, 1.0), (FINE, 0.5)], ids=["steady", "green"])
def test_independent_arms_are_within_what_the_blocks_say(profile: object, odds: float) -> None:
    """Bernoulli requests of any share, the odds ratio kept: the mean over all outcomes, silent ones included."""
    assert profile in (STEADY, FINE)
    n, x, m, y = (each.ravel() for each in np.meshgrid([7.0], np.arange(8.0), [15.0], np.arange(16.0)))
    owned = Wealth.start(STEADY if profile is STEADY else FINE, odds, n.shape).add(Counts(n, x, m, y), 0).owned
    for share in (0.01, 0.1, 0.5, 0.9):
        other = share / (1 - share) * odds
        mine = other / (1 + other)
        weight = np.exp(audit._choose(n, x) + audit._choose(m, y))
        weight *= mine**x * (1 - mine) ** (n - x) * share**y * (1 - share) ** (m - y)
        assert weight.sum() == pytest.approx(1)
        assert (weight * owned).sum() <= audit.LIMIT


def test_a_form_that_cheats_is_found() -> None:
    """The share of requests instead of θ, on the side of lower odds."""

    def cheating(counts: Counts, odds: float) -> Array:
        plain = odds * counts.n / (odds * counts.n + counts.other_n)
        return np.asarray(0.3 + 0.7 * counts.bad / (counts.bad + counts.other_bad) / plain)

    every = audit.blocks(4, 9)
    assert every.expected(cheating(every.counts, 0.5), 0.5) > 1.01
    assert every.expected(cheating(every.counts, 1.0), 1.0) == pytest.approx(1)


def test_a_violation_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form has its line."""
    monkeypatch.setattr(audit, "forms", lambda: iter([audit.Form("fair", 9, 1.0)]))
    assert main(["--audit"]) == 0
    monkeypatch.setattr(audit, "forms", lambda: iter([audit.Form("fair", 9, 1.0), audit.Form("unfair", 9, 1.001)]))
    assert main(["--audit"]) == 1
    assert "unfair" in capsys.readouterr().out
