"""The words over a run and its artifacts, for the states that a person may find a rollout in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.rollout import events as e
from canary.rollout.halts import Approval, Hold, Rollback
from canary.rollout.history import History, Story, Yes
from canary.rollout.looks import Looks
from canary.rollout.state import State
from canary.rollout.view import view
from canary.tasks.criteria import rows
from canary.tasks.standing import over_the_table, step, under_the_title, way_back

SOAKING = State("phase1-1", service="docflow", version="2.1.0", stable_version="2.0.9", phase="canary", asked=0.1)
BACK = replace(SOAKING, asked=0.0, bad_requests=12.0, rollback=Rollback("fail", "http_errors 4 %", 0.0))


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (State("phase1-1"), "preflight 0%"),
        (SOAKING, "canary 10%"),
        (replace(SOAKING, asked=0.0, approval=Approval(("owner",), "s", 0.0)), "canary waits for approval"),
        (replace(SOAKING, approval=Approval(("owner",), "s", 0.0, {"owner": "Ada"})), "canary 10%"),
        (replace(SOAKING, hold=Hold(0.0, None, "Ada: lunch")), "canary 10%, held"),
        (BACK, "rolling back"),
        (
            replace(BACK, ended=e.RolloutEnded(outcome="rolled_back", phase="canary", reason="r", verified=True)),
            "rolled back",
        ),
    ],
)
def test_a_runs_name_says_what_is_being_done(state: State, name: str) -> None:
    """The step goes from preflight over the phase with its users to the end; what waits for people is said."""
    assert step(state) == name


def test_the_table_says_phase_exposure_and_the_worst_verdict() -> None:
    """Without a verdict nobody is on the candidate; with one, its outcome and reason stand over the numbers."""
    assert "No user is on the candidate" in over_the_table(replace(SOAKING, phase="staging", asked=0.0))
    reason = "http_errors 4 %, over 1 %"
    verdict = Verdict("< 1%", "http_errors", Outcome.FAIL, 0.04, 0.01, "share", None, None, reason)
    judged = replace(SOAKING, verdict=PhaseVerdict.of([verdict]))
    assert over_the_table(judged) == "## docflow 2.1.0: canary at 10%\n\n**FAIL**: http_errors 4 %, over 1 %"


def test_under_the_title_stand_time_exposure_and_people() -> None:
    """What the terminal shows too: until when, asked against shown, who approved and how, and why it is held."""
    off = {"web": e.Shown(answer="cannot tell", observed=None, detail="no answer")}
    held = replace(SOAKING, soaking="canary", due=0.0, targets=off, hold=Hold(0.0, 60.0, "Ada: lunch"))
    story = Story(held, History(approvals=(Yes("canary", "owner", "Ada", "Slack", False),)))
    assert under_the_title(view(story, None, 0.0)).splitlines() == [
        "- The hold lasts until 1970-01-01 00:01:00 UTC.",
        "- web: asked for 10%, has not shown any share.",
        "- canary approved by Ada as owner (Slack, identity unproven).",
        "- **Held**, a person must decide: Ada: lunch",
    ]


def test_the_table_has_the_columns_of_the_view() -> None:
    """A rule has value, limit, samples, verdict, its course and its reason; a check what was seen."""
    verdict = Verdict("< 1%", "http_errors", Outcome.FAIL, 0.04, 0.01, "share", None, None, "over")
    judged = replace(SOAKING, soaking="canary", verdict=PhaseVerdict.of([verdict]))
    history = History(values={("http_errors", "< 1%"): (0.0, 0.04)})
    assert rows(view(Story(judged, history), None, 0.0)) == [
        {
            "criterion": "http_errors: < 1%",
            "value": "4.00%",
            "limit": "1.00%",
            "samples": "0",
            "verdict": "FAIL",
            "over time": "▁█",
            "reason": "over",
        }
    ]
    looked = replace(SOAKING, phase="staging", looks=Looks(1, 0.0, {"home": ("passed", "200")}))
    assert rows(view(Story(looked), None, 0.0)) == [
        {"criterion": "home", "value": "200", "limit": "", "samples": "", "verdict": "passed"}
    ]


def test_the_way_back_says_why_to_what_and_whether_it_is_seen() -> None:
    """Reason, former version and bad requests; then whether every target shows 0, or which one does not."""
    text = way_back(BACK)
    assert "**http_errors 4 %**" in text
    assert "from phase canary to 2.0.9" in text
    assert "served to users: 12" in text
    assert "being sent" in text
    assert BACK.rollback is not None
    assert "nobody is on the candidate" in way_back(replace(BACK, rollback=replace(BACK.rollback, verified=True)))
    off = {
        "web": e.Shown(answer="no", observed=0.1, detail="10% on blue"),
        "api": e.Shown(answer="yes", observed=0.0, detail="-"),
    }
    lost = replace(BACK, targets=off, rollback=replace(BACK.rollback, unverified_at=1.0))
    assert "NOT VERIFIED, somebody was paged: web: 10% on blue." in way_back(lost)
