"""The whole answer, not only its kind: which phase, which share, until when, on whose word and for what reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.ports import Increment
from canary.rollout import decide as d
from canary.rollout import events as e
from canary.rollout.halts import Approval, Hold, Rollback, Stop
from canary.rollout.looks import Looks
from canary.rollout.measure import stale_after
from canary.rollout.state import State

NOW = 100_000.0
SPRING: dict[str, Any] = json.loads((Path(__file__).parents[1] / "spring.json").read_text())
STAGING, SOAK, LAST = SPRING["phases"]
CANARY = {**SOAK, "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"}}
FULL = {**LAST, "then": ["audit", "docs"]}
RELEASE = {name: e.Identities(candidate="2", stable="1") for name in ("api", "web")}
SHOWN = {
    "api": e.Shown(answer="yes", observed=0.1, detail="fine"),
    "web": e.Shown(answer="no", observed=0.0, detail="still 0 %"),
}
ENDED = e.RolloutEnded(outcome="promoted", phase="full", reason="passed", verified=True)
WORD = e.PromoteAsked(by="Olga", how="a test", reason="seen by hand")


def plan_of(canary: dict[str, Any] | None = None, **more: Any) -> Plan:
    """At sixty times the pace: whatever is not scaled, or scaled twice, is seen."""
    phases = [STAGING, CANARY if canary is None else canary, FULL]
    return parse_plan(json.dumps({**SPRING, "phases": phases, "time_scale": 60.0, **more}))


PLAN = plan_of()
SILENT = plan_of({name: value for name, value in CANARY.items() if name != "on_undecided"})


def undecided(**how: Any) -> Plan:
    return plan_of({**CANARY, "on_undecided": how})


def verdict(outcome: Outcome) -> PhaseVerdict:
    counted = None if outcome is Outcome.NO_DATA else Increment(1000.0)
    return PhaseVerdict.of([Verdict("< 1%", "errors", outcome, 0.0, 0.01, "share", counted, None, f"it is {outcome}")])


def reason(outcome: Outcome) -> str:
    return verdict(outcome).reason


def soaking(outcome: Outcome | None = Outcome.PASS, **more: Any) -> State:
    """In the canary, users on the candidate, the deadline just reached."""
    state = State(
        "r1",
        release=RELEASE,
        phase="canary",
        passed=("staging",),
        approval=Approval(("owner", "lead"), "subject", NOW - 60, {"owner": "Olga", "lead": "Lars"}),
        asked=0.1,
        soaking="canary",
        due=NOW,
        verdict=verdict(outcome) if outcome else None,
        sampled_at=NOW - 1,
    )
    return replace(state, **more)


def asked(**more: Any) -> State:
    """The go-live is asked for: one of two has said yes."""
    approval = Approval(("owner", "lead"), "s", NOW + 1, {"owner": "O"})
    fields: dict[str, Any] = {"approval": approval, "asked": 0.0, "soaking": ""}
    return soaking(**fields | more)


def staging(**more: Any) -> State:
    """The first phase, everything prepared, its first round of checks looked at 1 s ago, its end 9 s away."""
    looks = Looks(1, NOW - 1, {"home": ("passed", "200")})
    prepared = frozenset({"api", "web"})
    state = State("r1", release=RELEASE, phase="staging", prepared=prepared, soaking="staging", due=NOW + 9)
    return replace(state, **{"looks": looks, **more})


ALL = ("staging", "canary", "full")
STOP = Stop("Olga", "enough", "rollback")
AUDIT = e.ClosingDone(step="audit", ok=True, detail="")
DOCS = e.ClosingDone(step="docs", ok=True, detail="")
BACK = Rollback("fail", "bad", NOW)
PASS, FAIL, UNDECIDED, NO_DATA = Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.NO_DATA
OPEN = Hold(NOW - 5, None, "Olga: wait")
UNSURE = f"undecided after canary: {reason(UNDECIDED)}"

ENDS = [
    (soaking(ended=ENDED, rollback=BACK, stop=STOP), d.Done()),
    (soaking(rollback=BACK, stop=STOP), d.FinishRollback()),
    (soaking(stop=STOP, release={}), d.RollBack("abort", "rollback by Olga: enough")),
    (soaking(release={}), d.Preflight()),
    (soaking(passed=ALL), d.Close("audit")),
    (soaking(passed=ALL, closed={"audit": AUDIT}), d.Close("docs")),
    (soaking(passed=ALL, closed={"audit": AUDIT, "docs": DOCS}), d.Promote()),
    (soaking(phase="staging"), d.StartPhase("canary")),
    (soaking(passed=()), d.StartPhase("staging")),
]
APPROVAL = [
    (asked(rejected="Nora (lead): no"), d.RollBack("approval", "go-live was rejected by Nora (lead): no")),
    (asked(approval=None), d.AskApproval("canary", ("owner", "lead"), NOW + 60)),
    (asked(), d.AwaitApproval(("lead",), NOW + 1)),
    (asked(verdict=verdict(FAIL)), d.RollBack("fail", reason(FAIL))),
    (
        asked(approval=Approval(("owner", "lead"), "s", NOW)),
        d.RollBack("approval", "no approval by owner, lead in time"),
    ),
    (asked(asked=0.05, shown=False), d.Raise(0.05)),
    (asked(asked=0.0, shown=False), d.AwaitApproval(("lead",), NOW + 1)),
    (asked(asked=0.05, shown=True), d.AwaitApproval(("lead",), NOW + 1)),
    (
        asked(asked=0.05, shown=False, tries=3, targets=SHOWN),
        d.RollBack("platform", "the targets did not take 5%: web no (still 0 %)"),
    ),
]
RAISES = [
    (soaking(shown=False, tries=2), d.Raise(0.1)),
    (soaking(asked=0.0, tries=2), d.Raise(0.1)),
    (soaking(asked=1.0, soaking=""), d.Raise(0.1)),
    (
        soaking(shown=False, tries=3, targets=SHOWN),
        d.RollBack("platform", "the targets did not take 10%: web no (still 0 %)"),
    ),
    (soaking(soaking="staging"), d.StartSoak("canary", NOW + 30)),
    (soaking(phase="full", passed=("staging", "canary")), d.Raise(1.0)),
    (
        soaking(phase="full", passed=("staging", "canary"), asked=1.0),
        d.PassPhase("full", "every target shows 100%"),
    ),
]
IN_STAGING = [
    (staging(unready="api: dead"), d.RollBack("staging", "the candidate never became ready: api: dead")),
    (staging(prepared=frozenset()), d.Prepare("api")),
    (staging(prepared=frozenset({"api"})), d.Prepare("web")),
    (staging(soaking=""), d.StartSoak("staging", NOW + 10)),
    (staging(looks=Looks()), d.Look(1)),
    (staging(looks=Looks(), due=NOW - 5), d.Look(1)),
    (staging(), d.WaitUntil(NOW + 4)),
    (staging(due=NOW + 2), d.WaitUntil(NOW + 2)),
    (staging(looks=Looks(1, NOW - 5)), d.Look(2)),
    (staging(looks=Looks(1, NOW - 4.9)), d.WaitUntil(NOW - 4.9 + 5)),
    (staging(looks=Looks(2, NOW - 1), due=NOW), d.Look(3)),
    (
        staging(looks=Looks(2, NOW - 6, {"home": ("passed", "")}), due=NOW - 6),
        d.PassPhase("staging", "1 checks passed in 2 rounds"),
    ),
    (
        staging(looks=Looks(2, NOW, {"home": ("failed", "500"), "a": ("passed", ""), "b": ("failed", "x")}), due=NOW),
        d.RollBack("staging", "staging checks failed: home: 500; b: x"),
    ),
]
SOAK = [
    (soaking(FAIL, override=WORD), d.RollBack("fail", reason(FAIL))),
    (soaking(UNDECIDED, override=WORD, extend_asked=60.0), d.PassPhase("canary", "seen by hand", overridden_by="Olga")),
    (soaking(due=NOW + 5, extend_asked=60.0), d.Extend(NOW + 6, "a person asked for more time")),
    (soaking(due=NOW - 5, extend_asked=60.0, hold=OPEN), d.Extend(NOW + 1, "a person asked for more time")),
    (soaking(hold=OPEN), d.StartHold(NOW - 5 + 120, "Olga: wait")),
    (soaking(hold=replace(OPEN, until=NOW + 0.1)), d.Tick()),
    (
        soaking(hold=replace(OPEN, until=NOW)),
        d.RollBack("undecided", "nobody decided during the hold: Olga: wait"),
    ),
    (soaking(due=NOW + 0.1), d.Tick()),
    (soaking(), d.PassPhase("canary", reason(PASS))),
    (soaking(UNDECIDED), d.Extend(NOW + 10, UNSURE)),
    (soaking(UNDECIDED, extended=True), d.StartHold(NOW + 120, UNSURE)),
]
BLIND = [
    (
        soaking(blind_since=NOW - 30, blind_reason="503"),
        d.RollBack("no evidence", "no evidence: the metrics cannot be read since 30 s (503)"),
    ),
    (soaking(None), d.RollBack("no evidence", "no evidence: nothing was measured")),
    (soaking(sampled_at=None), d.RollBack("no evidence", "no evidence: nothing was measured")),
    (
        soaking(sampled_at=NOW - stale_after(PLAN) - 1),
        d.RollBack("no evidence", f"no evidence: the last sample is {stale_after(PLAN) + 1:.0f} s old"),
    ),
    (soaking(sampled_at=NOW - stale_after(PLAN)), d.PassPhase("canary", reason(PASS))),
    (soaking(NO_DATA), d.RollBack("no evidence", f"no evidence: {reason(NO_DATA)}")),
    # A new conductor looks itself first, for as long as a sample is good for.
    (soaking(sampled_at=NOW - 1000, took_at=NOW - stale_after(PLAN)), d.Tick()),
    (soaking(blind_since=NOW - 1000, took_at=NOW), d.Tick()),
    (
        soaking(sampled_at=NOW - 1000, took_at=NOW - stale_after(PLAN) - 0.1),
        d.RollBack("no evidence", "no evidence: the last sample is 1000 s old"),
    ),
]


@pytest.mark.parametrize(("state", "action"), ENDS + APPROVAL + RAISES + IN_STAGING + SOAK + BLIND)
def test_each_state_has_its_whole_answer(state: State, action: d.Action) -> None:
    """One row a question: just before it changes, and just after."""
    assert d.decide(PLAN, state, NOW) == action


@pytest.mark.parametrize(
    ("plan", "action"),
    [
        (SILENT, d.RollBack("undecided", UNSURE)),
        (undecided(then="rollback"), d.RollBack("undecided", UNSURE)),
        (undecided(extend="20m", then="rollback"), d.Extend(NOW + 20, UNSURE)),
        (undecided(then="hold", **{"for": "4h"}), d.StartHold(NOW + 240, UNSURE)),
    ],
)
def test_what_is_undecided_ends_as_the_plan_says(plan: Plan, action: d.Action) -> None:
    """Extended or held where it says so, each for as long as it says; rolled back where it says nothing."""
    assert d.decide(plan, soaking(UNDECIDED), NOW) == action


def test_a_hold_by_hand_has_an_end_though_the_plan_has_none() -> None:
    """Eight hours of plan time."""
    assert d.decide(SILENT, soaking(hold=OPEN), NOW) == d.StartHold(NOW - 5 + 480, "Olga: wait")


def test_the_overlay_grants_one_missing_role_after_the_other() -> None:
    """In the plan's order; what takes users off comes first all the same."""
    plan = plan_of(grant_approvals=True)
    assert d.decide(plan, asked(approval=Approval(("owner", "lead"), "s", NOW + 1)), NOW) == d.GrantApproval("owner")
    assert d.decide(plan, asked(), NOW) == d.GrantApproval("lead")
    assert d.decide(plan, asked(verdict=verdict(FAIL)), NOW) == d.RollBack("fail", reason(FAIL))


def test_a_staging_without_a_length_is_over_with_its_first_round() -> None:
    """One look at the checks, and on."""
    plan = plan_of(phases=[{name: v for name, v in STAGING.items() if name != "for"}, CANARY, FULL])
    assert d.decide(plan, staging(soaking=""), NOW) == d.StartSoak("staging", NOW)
    assert d.decide(plan, staging(due=NOW, looks=Looks()), NOW) == d.Look(1)


def test_a_phase_without_an_approval_asks_for_none() -> None:
    """Nobody's yes is missing where nobody was asked."""
    plan = plan_of({name: value for name, value in CANARY.items() if name != "approval"})
    assert d.decide(plan, soaking(approval=None, soaking=""), NOW) == d.StartSoak("canary", NOW + 30)
