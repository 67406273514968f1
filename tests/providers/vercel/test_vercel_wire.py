"""What Vercel's documents mean, where its own server shows it seldom."""

from __future__ import annotations

from typing import Any

import pytest

from canary.blocks import vercel_wire as wire
from canary.errors import ProviderUnavailable
from canary.ports import Release

STAGES = [{"targetPercentage": 10, "requireApproval": True}, {"targetPercentage": 100}]
ROLLING: dict[str, Any] = {
    "state": "ACTIVE",
    "canaryDeployment": {"id": "dpl_new"},
    "currentDeployment": {"id": "dpl_old"},
    "stages": STAGES,
    "activeStage": {"index": 0, "targetPercentage": 10},
}
BUILD: dict[str, Any] = {"id": "dpl_new", "url": "new.vercel.app", "readyState": "READY"}


def test_the_exact_percentage_counts() -> None:
    """A paused rolling release tells the percentage that it stopped at; it counts more than the stage's."""
    exact = wire.rolling({"rollingRelease": {**ROLLING, "substate": "PAUSED", "currentCanaryPercentage": 7.5}})
    assert exact
    assert (exact.share, exact.stage, exact.ladder) == (0.075, 0, (0.1, 1.0))
    staged = wire.rolling({"rollingRelease": ROLLING})
    assert staged
    assert staged.share == 0.1


@pytest.mark.parametrize("state", ["COMPLETE", "ABORTED"])
def test_a_rolling_release_that_is_over_is_none(state: str) -> None:
    """However it ended, it splits nobody any more."""
    assert wire.rolling({"rollingRelease": {**ROLLING, "state": state, "activeStage": None}}) is None


@pytest.mark.parametrize("gone", [{"deletedAt": 1_760_000_000_000}, {"softDeletedByRetention": True}])
def test_a_pruned_deployment_is_deleted(gone: dict[str, Any]) -> None:
    """It may still say READY; it cannot be gone back to."""
    assert wire.build(BUILD).state == "READY"
    assert wire.build({**BUILD, **gone}).state == "DELETED"


@pytest.mark.parametrize("percentage", [-1, 101, "ten", None])
def test_a_percentage_that_is_none(percentage: Any) -> None:
    """It is no observation."""
    stage = {"index": 0, "targetPercentage": percentage}
    with pytest.raises(ProviderUnavailable, match="not a rolling release"):
        wire.rolling({"rollingRelease": {**ROLLING, "activeStage": stage}})


def test_a_failed_move_of_before_does_not_spoil_a_split() -> None:
    """Domains that were left behind count when one deployment shall serve everybody, not while it is split."""
    job = wire.Job("dpl_old", "failed", 0)
    project = wire.Project("dpl_old", (0.1, 1.0), "", job, None)
    release = Release("dpl_new", "dpl_old")
    rolling = wire.rolling({"rollingRelease": ROLLING})
    assert wire.compare(wire.Seen(project, rolling), release, 0.1).answer == "yes"
    left = wire.compare(wire.Seen(project, None), release, 0.0)
    assert (left.answer, left.observed) == ("no", 0.0)
    assert "not every domain could be moved to dpl_old" in left.detail
