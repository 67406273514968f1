"""What `canary demo --providers` says of the platforms, and the plan that it runs on them."""

from __future__ import annotations

import json
from importlib.resources import as_file, files

import pytest

from canary.cli import platforms, rehearsal
from canary.plan.load import load_plan
from canary.plan.model import Plan
from canary.rollout import events as e
from canary.sandbox.platforms.wire import Platform

FLY = Platform(url="http://127.0.0.1:1", requests={f"GET /{n}": 1000 - n for n in range(8)}, state={"machines": []})
SLACK = Platform(url="http://127.0.0.1:2", requests={"POST /api/chat.postMessage": 3}, state={})


def plan(name: str) -> Plan:
    with as_file(files("canary.plans") / name) as path:
        return load_plan(path).plan


def test_it_is_the_runbook_s_plan_on_the_runbook_s_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets, notifiers and dashboards are those of phase1.yaml; the metrics come another way, and faster, and each
    feature can be switched off by itself."""
    monkeypatch.setattr(rehearsal, "_lacking", lambda: "")
    local = rehearsal._demo_plan(platforms.OVERLAY).plan
    assert local.metrics == "grafana/docflow"
    changed = ("metrics", "time_scale", "grant_approvals", "review", "watch")
    whole = plan("phase1.yaml")
    same = local.model_copy(update={name: getattr(whole, name) for name in changed})
    assert all(local.switch_of(name) == "flags" for name in local.features)
    assert same.targets.pop("flags").use == whole.targets["flags"].use
    assert same == whole.model_copy(update={"targets": same.targets})
    assert [*same.targets] == [name for name in whole.targets if name != "flags"]


def test_both_demos_go_at_the_same_pace() -> None:
    """What a user sees of one can be compared with the other."""
    paced = ("time_scale", "grant_approvals", "review", "watch")
    both = plan("demo.yaml"), plan("providers.yaml")
    assert len({json.dumps([getattr(each, name) for name in paced], default=str) for each in both}) == 1


def test_where_users_are_is_said_in_the_platforms_own_words() -> None:
    """After users were moved, and only then."""
    shown = {
        "api": e.Shown(answer="yes", observed=0.1, detail="1 of 10 machines run 2.1.0"),
        "web": e.Shown(answer="yes", observed=0.1, detail="90% on dpl_stable, 10% on dpl_candidate"),
    }
    said = platforms.standing(e.ExposureObserved(share=0.1, targets=shown))
    assert said == "Fly: 1 of 10 machines run 2.1.0; Vercel: 90% on dpl_stable, 10% on dpl_candidate"
    late = {**shown, "api": e.Shown(answer="no", observed=0.5, detail="5 of 10 machines run 2.1.0")}
    assert platforms.standing(e.ExposureObserved(share=1.0, targets=late)) is None
    assert platforms.standing(e.PhaseStarted(phase="canary")) is None
    assert platforms.standing(None) is None


def test_what_was_asked_is_told_with_the_most_frequent_first() -> None:
    """Not more than six kinds each; the document has them all."""
    lines = [*platforms.taken({"Fly": FLY, "Slack": SLACK})]
    assert lines[0] == "Fly took 7,972 requests (the most frequent):"
    assert lines[1] == "   1,000  GET /0"
    assert len(lines) == 9
    assert lines[7:] == ["Slack took 3 requests:", "       3  POST /api/chat.postMessage"]
    written = json.loads(platforms.document({"Fly": FLY, "Slack": SLACK}))
    assert written["Fly"]["requests"] == FLY.requests
