"""What to do next, from any state: what ends a rollout comes first, and nothing rises without evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.plan.load import parse_plan
from canary.ports import Entry, Increment
from canary.rollout import decide as d
from canary.rollout import events as e
from canary.rollout.folding import fold
from canary.rollout.halts import Approval, Hold, Rollback, Stop
from canary.rollout.looks import Looks
from canary.rollout.state import State

NOW = 10_000.0
DOCUMENT: dict[str, Any] = {
    "name": "spring",
    "service": "shop",
    "targets": {"api": {"use": "envoy/api"}},
    "metrics": "scraper/shop",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {"errors": {"counter": "http_requests_total", "bad": {"status": "5.."}}},
    "traffic": "errors",
    "notify": {"page": ["terminal/oncall"]},
    "roles": {"owner": {"name": "Olga Owner"}},
    "phases": [
        {"name": "staging", "for": "10m", "exposure": "0%", "checks": [{"name": "home", "get": "/"}]},
        {
            "name": "canary",
            "for": "30m",
            "exposure": "10%",
            "approval": {"by": ["owner"], "within": "1h"},
            "criteria": [{"errors": "< 1%"}],
            "on_undecided": {"extend": "10m", "then": "hold", "for": "2h"},
        },
        {"name": "full", "exposure": "100%"},
    ],
}
PLAN = parse_plan(json.dumps(DOCUMENT))
RELEASE = {"api": e.Identities(candidate="2", stable="1")}


def verdict(outcome: Outcome) -> PhaseVerdict:
    """A phase's verdict of that outcome, with the numbers it needs."""
    counted = None if outcome is Outcome.NO_DATA else Increment(1000.0)
    return PhaseVerdict.of([Verdict("< 1%", "errors", outcome, 0.0, 0.01, "share", counted, None, f"it is {outcome}")])


def soaking(outcome: Outcome | None, **more: Any) -> State:
    """In the canary, users on the candidate, the deadline just reached."""
    given = Approval(("owner",), "subject", NOW + 60, {"owner": "Olga Owner"})
    state = State(
        "r1",
        release=RELEASE,
        phase="canary",
        passed=("staging",),
        approval=given,
        asked=0.1,
        shown=True,
        soaking="canary",
        due=NOW,
        verdict=verdict(outcome) if outcome else None,
        sampled_at=NOW - 1,
    )
    return replace(state, **more)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (soaking(Outcome.PASS), d.PassPhase),
        (soaking(Outcome.PASS, due=NOW + 1), d.Tick),
        (soaking(Outcome.FAIL, due=NOW + 1), d.RollBack),
        (soaking(Outcome.NO_DATA, due=NOW + 1), d.Tick),
        (soaking(Outcome.NO_DATA), d.RollBack),
        (soaking(None), d.RollBack),
        (soaking(Outcome.PASS, blind_since=NOW - 30), d.RollBack),
        (soaking(Outcome.PASS, sampled_at=NOW - 61), d.RollBack),
        (soaking(Outcome.UNDECIDED), d.Extend),
        (soaking(Outcome.UNDECIDED, extended=True), d.StartHold),
        (soaking(Outcome.UNDECIDED, hold=Hold(NOW - 9, NOW + 1, "undecided")), d.Tick),
        (soaking(Outcome.UNDECIDED, hold=Hold(NOW - 9, NOW, "undecided")), d.RollBack),
        (soaking(Outcome.PASS, hold=Hold(NOW - 9, NOW + 1, "by hand")), d.Tick),
        (soaking(Outcome.FAIL, hold=Hold(NOW - 9, NOW + 1, "by hand")), d.RollBack),
        (soaking(Outcome.PASS, shown=False), d.Raise),
        (soaking(Outcome.PASS, shown=False, tries=3), d.RollBack),
        (soaking(Outcome.PASS, approval=None), d.AskApproval),
        (soaking(Outcome.PASS, approval=Approval(("owner",), "s", NOW + 1)), d.AwaitApproval),
        (soaking(Outcome.PASS, approval=Approval(("owner",), "s", NOW)), d.RollBack),
        (soaking(Outcome.FAIL, approval=Approval(("owner",), "s", NOW + 1)), d.RollBack),
        (soaking(Outcome.PASS, rejected="Olga"), d.RollBack),
        (soaking(Outcome.PASS, passed=("staging", "canary")), d.StartPhase),
        (soaking(Outcome.PASS, passed=("staging", "canary", "full")), d.Promote),
        (State("r1"), d.Preflight),
    ],
)
def test_each_state_has_its_action(state: State, action: type[d.Action]) -> None:
    """The table of the soak, the approval and the ends."""
    assert isinstance(d.decide(PLAN, state, NOW), action)


@pytest.mark.parametrize(
    ("asked_since", "action"), [(NOW - 100, d.Raise), (NOW - 899, d.Raise), (NOW - 900, d.RollBack)]
)
def test_a_fleet_gets_its_time(asked_since: float, action: type[d.Action]) -> None:
    """Machine by machine a share may take a quarter of an hour, however often it is asked for meanwhile."""
    fleet = {"api": {"use": "fly/api", "artifact": "registry.fly.io/shop:{version}"}}
    plan = parse_plan(json.dumps(DOCUMENT | {"targets": fleet}))
    slow = soaking(Outcome.PASS, shown=False, tries=9, asked_since=asked_since)
    assert isinstance(d.decide(plan, slow, NOW), action)


def test_the_time_of_a_raise_begins_with_its_first_try() -> None:
    """And anew with another share."""
    state = State("r1")
    for at, share, since in ((1.0, 0.1, 1.0), (5.0, 0.1, 1.0), (9.0, 1.0, 9.0)):
        intent = e.ExposureIntended(share=share, targets=("api",), why="")
        state = fold(state, [Entry("r1", state.seq + 1, at, 1, intent.type, intent.model_dump(mode="json"))])
        assert state.asked_since == since


def test_broken_telemetry_is_called_no_evidence() -> None:
    """Neither good nor bad: the reason at the deadline says that nothing could be read."""
    action = d.decide(PLAN, soaking(Outcome.PASS, blind_since=NOW - 30, blind_reason="503"), NOW)
    assert isinstance(action, d.RollBack)
    assert (action.cause, "503" in action.reason) == ("no evidence", True)


def test_an_override_needs_a_person_and_never_beats_a_fail() -> None:
    """A named person's word passes what is undecided; a FAIL goes back all the same."""
    word = e.PromoteAsked(by="Olga Owner", how="command line", reason="seen by hand")
    passed = d.decide(PLAN, soaking(Outcome.UNDECIDED, override=word), NOW)
    assert passed == d.PassPhase("canary", "seen by hand", overridden_by="Olga Owner")
    assert isinstance(d.decide(PLAN, soaking(Outcome.FAIL, override=word), NOW), d.RollBack)


def test_staging_waits_to_its_end_for_a_failing_check() -> None:
    """At exposure 0 nothing is at risk: a candidate that warms up slowly has until the deadline, and no longer."""
    looks = Looks(4, NOW - 1, {"home": ("failed", "500")})
    state = State("r1", release=RELEASE, phase="staging", prepared=frozenset({"api"}), soaking="staging", due=NOW + 500)
    assert isinstance(d.decide(PLAN, replace(state, looks=looks), NOW), d.WaitUntil)
    over = replace(state, due=NOW, looks=replace(looks, at=NOW))
    assert isinstance(d.decide(PLAN, over, NOW), d.RollBack)


states = st.builds(
    lambda **fields: soaking(fields.pop("outcome"), **fields),
    outcome=st.sampled_from([*Outcome, None]),
    phase=st.sampled_from(["", "staging", "canary", "full"]),
    passed=st.sampled_from([(), ("staging",), ("staging", "canary"), ("staging", "canary", "full")]),
    asked=st.sampled_from([0.0, 0.1, 1.0]),
    shown=st.booleans(),
    tries=st.integers(0, 4),
    soaking=st.sampled_from(["", "staging", "canary"]),
    due=st.floats(NOW - 100, NOW + 100),
    sampled_at=st.sampled_from([None, NOW - 1, NOW - 1000]),
    blind_since=st.sampled_from([None, NOW - 5]),
    extended=st.booleans(),
    extend_asked=st.sampled_from([0.0, 60.0]),
    hold=st.sampled_from([None, Hold(NOW - 9, None, "x"), Hold(NOW - 9, NOW + 9, "x"), Hold(NOW - 9, NOW - 1, "x")]),
    prepared=st.sampled_from([frozenset(), frozenset({"api"})]),
)


@given(states)
def test_after_an_abort_nothing_rises(state: State) -> None:
    """Sticky, from any state: the only ways from there are back."""
    stopped = replace(state, stop=Stop("Olga", "enough", "abort"))
    assert isinstance(d.decide(PLAN, stopped, NOW), d.RollBack)
    back = replace(stopped, rollback=Rollback("abort", "enough", NOW))
    assert isinstance(d.decide(PLAN, back, NOW), d.FinishRollback)


@given(states)
def test_a_phase_with_users_passes_on_evidence_alone(state: State) -> None:
    """From any state: never an exception, and a canary passes only with a fresh PASS at its deadline."""
    action = d.decide(PLAN, state, NOW)
    if isinstance(action, d.PassPhase) and action.phase == "canary":
        assert state.verdict is not None
        assert state.verdict.outcome is Outcome.PASS
        assert state.due <= NOW
        assert state.blind_since is None
        assert state.sampled_at == NOW - 1
    if isinstance(action, d.Raise):
        assert action.share == next(p.exposure for p in PLAN.phases if p.name == state.phase)


def test_the_time_scale_shortens_plan_durations_alone() -> None:
    """A soak's due is scaled; the rollback's limit is a safety limit, and is not."""
    fast = PLAN.model_copy(update={"time_scale": 60.0})
    action = d.decide(fast, soaking(Outcome.PASS, soaking=""), NOW)
    assert action == d.StartSoak("canary", NOW + 30.0)
    assert fast.rollback.within == PLAN.rollback.within
