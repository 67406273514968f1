"""The demo's plan where pages can be visited, and where they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from canary.cli import rehearsal
from canary.plan.model import UiCheck

BROWSER_CHECKS = [
    "AI filter dropdown works",
    "forecast toggle shows prediction bars",
    "schedule button triggers an export",
]


def test_the_demo_visits_the_runbooks_three_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a Chromium is found nothing is skipped."""
    monkeypatch.setattr(rehearsal, "_lacking", lambda: "")
    plan = rehearsal._demo_plan().plan
    assert [check.name for check in plan.checks if isinstance(check, UiCheck)] == BROWSER_CHECKS
    assert plan.without == ()


def test_without_a_browser_the_demo_goes_without_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By name, in the plan itself; everything else is the same, and so is the hash each time."""
    monkeypatch.setattr(rehearsal, "_lacking", lambda: "")
    whole = rehearsal._demo_plan().plan
    monkeypatch.setattr(rehearsal, "_lacking", lambda: "apt install chromium")
    plan = rehearsal._demo_plan()
    assert list(plan.plan.without) == BROWSER_CHECKS
    assert plan.plan.model_copy(update={"without": ()}) == whole
    assert rehearsal._demo_plan().hash == plan.hash
