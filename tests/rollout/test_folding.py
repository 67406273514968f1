"""Each kind of line changes what it is about, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from canary.judge.evidence import Block, Evidence
from canary.judge.verdict import Outcome, PhaseVerdict, Verdict
from canary.ports import Increment
from canary.rollout import events as e
from canary.rollout.fired import FiredAlert
from canary.rollout.folding import apply
from canary.rollout.halts import Approval, Asked, FeatureOff, Hold, Rollback, Stop
from canary.rollout.looks import Looks
from canary.rollout.state import State

AT = 1000.0
NO, YES = (e.Shown(answer=answer, observed=0.1, detail="") for answer in ("no", "yes"))
OLGA = {"by": "Olga", "how": "a test", "reason": "because"}
ENDED = e.RolloutEnded(outcome="promoted", phase="full", reason="passed", verified=True)
ALERT = FiredAlert(severity="warning", rule="errors < 1%", reason="it is 2 %")
NEVER = State("r1")
OFF = FeatureOff("search", "SEARCH", "flags", "bad", "errors on search", 0.1, 8.5, 8.7)


def block(at: float, bad: float = 3.0) -> Block:
    """One scrape that saw so many bad requests of the canary."""
    return Block(at, {"http": {"canary": Increment(10.0, bad)}}, 1)


def verdict(outcome: Outcome) -> PhaseVerdict:
    return PhaseVerdict.of([Verdict("< 1%", "http", outcome, 0.0, 0.01, "share", Increment(9.0), None, "so it is")])


MIDST = State(
    "r1",
    seq=7,
    plan_hash="old",
    service="old",
    version="old",
    requested_by="old",
    started_at=1.0,
    epoch=4,
    takeovers=2,
    took_at=2.0,
    flow_run="old",
    asked_run=Asked(1, 3, 3.0),
    release={"old": e.Identities(candidate="2", stable="1")},
    stable_version="old",
    phase="canary",
    phase_since=4.0,
    passed=("staging",),
    overridden=("staging",),
    prepared=frozenset({"web"}),
    unready="web: slow",
    approval=Approval(("owner", "lead"), "subject", AT, {"lead": "Lars"}),
    rejected="Nora (lead): no",
    looks=Looks(2, 5.0, {"home": ("failed", "500")}),
    skipped=("login",),
    asked=0.1,
    raise_open=True,
    shown=True,
    tries=1,
    asked_since=5.5,
    exposed=0.05,
    exposed_phase="staging",
    targets={"web": NO},
    soaking="canary",
    due=6.0,
    evidence=Evidence().add(block(15.0)),
    verdict=verdict(Outcome.UNDECIDED),
    sampled_at=7.0,
    blind_since=8.0,
    blind_reason="old",
    bad_requests=20.0,
    extended=True,
    extend_asked=60.0,
    hold=Hold(9.0, 10.0, "old"),
    override=e.PromoteAsked(**OLGA),
    feature_asked=e.FeatureOffAsked(feature="queue", **OLGA),
    feature_off=OFF,
    features_off=("search",),
    stop=Stop("Nora", "old", "rollback"),
    rollback=Rollback("guard", "old", 11.0),
    ended=ENDED,
    ended_at=12.0,
    paged={"old": 13.0},
    acknowledged_at=14.0,
    threads={"old": "ref"},
    watched_at=15.0,
    watched=frozenset({1}),
    watch_bad=True,
    alerts=(ALERT,),
    soak_since=900.0,
    canary_seconds=5.0,
    former=e.Baseline(rollout="r0", version="0", figures={}),
    closed={"audit": e.ClosingDone(step="audit", ok=True, detail="")},
    reviews={1.0: 2.0},
    reviewed={1.0: ("old",)},
)
"""Every field has a value of its own: what a line loses, or touches besides, is seen."""
RELEASE = {"api": e.Identities(candidate="3", stable="2")}
FORMER = e.Baseline(rollout="r9", version="9", figures={})
LATER = block(30.0, 2.0)
DONE = e.ClosingDone(step="docs", ok=False, detail="no answer")
OTHER_END = e.RolloutEnded(outcome="rolled_back", phase="canary", reason="bad", verified=True)
CASES: list[tuple[e.Event, Mapping[str, Any], Mapping[str, Any]]] = [
    (
        e.RolloutStarted(
            plan="p", plan_hash="h", service="s", version="3", requested_by="Ann", how="a test", flow_run="f"
        ),
        {},
        {"plan_hash": "h", "service": "s", "version": "3", "requested_by": "Ann", "started_at": AT, "flow_run": "f"},
    ),
    (e.ConductorTook(holder="h", epoch=5, lease_seconds=20.0), {}, {"epoch": 5, "took_at": AT, "takeovers": 3}),
    (e.ConductorTook(holder="h", epoch=1, lease_seconds=20.0), {"epoch": 0}, {"epoch": 1, "took_at": AT}),
    (e.ConductorAsked(attempt=2, epoch=4), {}, {"asked_run": Asked(2, 4, AT)}),
    (
        e.PreflightPassed(release=RELEASE, stable_version="2", sealed=(), former=FORMER),
        {},
        {"release": RELEASE, "stable_version": "2", "former": FORMER},
    ),
    (
        e.PhaseStarted(phase="full"),
        {},
        {
            "phase": "full",
            "phase_since": AT,
            "approval": None,
            "looks": Looks(),
            "extended": False,
            "extend_asked": 0.0,
            "hold": None,
            "override": None,
            "tries": 0,
        },
    ),
    (e.PrepareIntended(target="api", candidate="2"), {}, {}),
    (e.PrepareObserved(target="api", ready=False, detail="dead"), {}, {"unready": "api: dead"}),
    (
        e.PrepareObserved(target="api", ready=True, detail=""),
        {},
        {"prepared": frozenset({"web", "api"}), "unready": None},
    ),
    (
        e.CheckObserved(name="page", outcome="passed", detail="fine"),
        {},
        {"looks": Looks(2, 5.0, {"home": ("failed", "500"), "page": ("passed", "fine")})},
    ),
    (
        e.CheckObserved(name="page", outcome="skipped", detail="without"),
        {},
        {
            "looks": Looks(2, 5.0, {"home": ("failed", "500"), "page": ("skipped", "without")}),
            "skipped": ("login", "page"),
        },
    ),
    (
        e.ChecksLooked(phase="staging", round=3, passed=1, failed=()),
        {},
        {"looks": Looks(3, AT, {"home": ("failed", "500")})},
    ),
    (
        e.ApprovalAsked(phase="full", roles=("owner",), due=2000.0, subject="s"),
        {},
        {"approval": Approval(("owner",), "s", 2000.0)},
    ),
    (
        e.ApprovalGiven(role="owner", subject="subject", **OLGA),
        {},
        {"approval": Approval(("owner", "lead"), "subject", AT, {"lead": "Lars", "owner": "Olga"})},
    ),
    (e.ApprovalGiven(role="owner", subject="other", **OLGA), {}, {}),
    (e.ApprovalGiven(role="intern", subject="subject", **OLGA), {}, {}),
    (e.ApprovalGiven(role="owner", subject="subject", **OLGA), {"approval": None}, {}),
    (
        e.ApprovalGiven(role="owner", subject="subject", **OLGA),
        {"approval": Approval(("owner",), "subject", AT - 0.1)},
        {},
    ),
    (e.ApprovalRejected(role="owner", **OLGA), {}, {"rejected": "Olga (owner): because"}),
    (
        e.ExposureIntended(share=0.5, targets=("web",), why=""),
        {"raise_open": False},
        {"asked": 0.5, "shown": False, "raise_open": True, "tries": 2, "asked_since": AT},
    ),
    (e.ExposureIntended(share=0.1, targets=("web",), why=""), {}, {"shown": False, "tries": 2}),
    (
        e.ExposureIntended(share=0.1, targets=("web",), why=""),
        {"tries": 0},
        {"shown": False, "tries": 1, "asked_since": AT},
    ),
    (
        e.ExposureIntended(share=0.0, targets=("web",), why=""),
        {"raise_open": False},
        {"asked": 0.0, "shown": False, "tries": 2, "asked_since": AT},
    ),
    (
        e.ExposureIntended(share=0.0, targets=("web",), why=""),
        {},
        {"asked": 0.0, "shown": False, "tries": 2, "asked_since": AT},
    ),
    (
        e.ExposureObserved(share=0.1, targets={"api": YES}),
        {"shown": False},
        {
            "targets": {"web": NO, "api": YES},
            "shown": True,
            "raise_open": False,
            "tries": 0,
            "exposed": 0.1,
            "exposed_phase": "canary",
        },
    ),
    (
        e.ExposureObserved(share=0.1, targets={"api": YES, "web": NO}),
        {"shown": False},
        {"targets": {"web": NO, "api": YES}},
    ),
    (
        e.ExposureDrifted(asked=0.1, targets={"api": NO}),
        {},
        {"targets": {"web": NO, "api": NO}, "shown": False},
    ),
    (
        e.SoakStarted(phase="full", due=2000.0),
        {},
        {
            "soaking": "full",
            "due": 2000.0,
            "evidence": MIDST.evidence.next_phase(),
            "verdict": None,
            "sampled_at": AT,
            "blind_since": None,
            "soak_since": AT,
        },
    ),
    (
        e.SoakStarted(phase="canary", due=2000.0),
        {"soaking": ""},
        {
            "soaking": "canary",
            "due": 2000.0,
            "evidence": Evidence(),
            "verdict": None,
            "sampled_at": AT,
            "blind_since": None,
            "soak_since": AT,
        },
    ),
    (
        e.Sampled(block=LATER.to_data()),
        {},
        {"evidence": MIDST.evidence.add(LATER), "sampled_at": 30.0, "bad_requests": 22.0},
    ),
    (
        e.Sampled(block=replace(LATER, watched={"memory": {"canary": Increment(0.0, last=1.0)}}).to_data()),
        {},
        {"evidence": MIDST.evidence.add(LATER), "sampled_at": 30.0, "bad_requests": 22.0},
    ),
    (
        e.Sampled(block={**LATER.to_data(), "watched": {"memory": "unreadable"}}),
        {},
        {"evidence": MIDST.evidence.add(LATER), "sampled_at": 30.0, "bad_requests": 22.0},
    ),
    (e.Sampled(block=block(15.0).to_data()), {}, {}),
    (e.MeasurementFailed(reason="503"), {}, {"blind_reason": "503"}),
    (e.MeasurementFailed(reason="503"), {"blind_since": None}, {"blind_since": AT, "blind_reason": "503"}),
    (e.MeasurementBack(blind_seconds=9.0), {}, {"blind_since": None, "blind_reason": ""}),
    (
        e.Judged(phase="canary", verdict=verdict(Outcome.PASS).to_data()),
        {},
        {"verdict": verdict(Outcome.PASS)},
    ),
    (
        e.PhaseExtended(phase="canary", due=2000.0, reason=""),
        {"extended": False},
        {"due": 2000.0, "extend_asked": 0.0, "hold": None},
    ),
    (
        e.PhaseExtended(phase="canary", due=2000.0, reason=""),
        {"extended": False, "extend_asked": 0.0},
        {"due": 2000.0, "extended": True, "hold": None},
    ),
    (e.PhaseExtended(phase="canary", due=2000.0, reason=""), {}, {"due": 2000.0, "extend_asked": 0.0, "hold": None}),
    (
        e.HoldStarted(phase="canary", until=2000.0, reason="unsure"),
        {},
        {"hold": Hold(AT, 2000.0, "unsure")},
    ),
    (
        e.PhasePassed(phase="canary", reason="", overridden_by="Olga"),
        {},
        {
            "passed": ("staging", "canary"),
            "overridden": ("staging", "canary"),
            "hold": None,
            "override": None,
            "canary_seconds": 105.0,
        },
    ),
    (
        e.PhasePassed(phase="canary", reason=""),
        {},
        {"passed": ("staging", "canary"), "hold": None, "override": None, "canary_seconds": 105.0},
    ),
    (
        e.Watched(number=2, block=block(45.0).to_data(), verdict={"outcome": "PASS"}, seconds=1.0),
        {},
        {"watched": frozenset({1, 2}), "watch_bad": False, "watched_at": 45.0, "alerts": ()},
    ),
    (
        e.WatchBlind(number=2, reason="503"),
        {"watch_bad": False},
        {"watched": frozenset({1, 2}), "watch_bad": True},
    ),
    (DONE, {}, {"closed": {**MIDST.closed, "docs": DONE}}),
    (e.AbortAsked(**OLGA), {"ended": None}, {}),
    (e.AbortAsked(**OLGA), {"ended": None, "stop": None}, {"stop": Stop("Olga", "because", "abort")}),
    (e.RollbackAsked(**OLGA), {"stop": None}, {"stop": Stop("Olga", "because", "rollback"), "ended": None}),
    (e.AbortAsked(**OLGA), {"ended": OTHER_END}, {}),
    (e.HoldAsked(**OLGA), {}, {}),
    (e.HoldAsked(**OLGA), {"hold": None}, {"hold": Hold(AT, None, "Olga: because")}),
    (e.ResumeAsked(**OLGA), {}, {"hold": None, "soaking": "", "extended": False, "override": None}),
    (e.ResumeAsked(**OLGA), {"hold": None}, {}),
    (
        e.PromoteAsked(**{**OLGA, "by": "Lars"}),
        {},
        {"override": e.PromoteAsked(**{**OLGA, "by": "Lars"})},
    ),
    (
        e.FeatureOffIntended(feature="new", flag="NEW", target="old", candidate="3", why="bad", measure="m", rate=0.2),
        {"shown": True},
        {
            "release": {"old": e.Identities(candidate="3", stable="1")},
            "feature_off": FeatureOff("new", "NEW", "old", "bad", "m", 0.2, AT),
            "features_off": ("search", "new"),
            "shown": False,
            "soaking": "",
            "extended": False,
            **dict.fromkeys(("feature_asked", "verdict", "hold", "override")),
        },
    ),
    (e.FeatureRecovered(feature="search", detail=""), {}, {"feature_off": replace(OFF, recovered=True)}),
    (e.FeatureOffAsked(feature="search", **OLGA), {}, {}),
    (e.FeatureOffAsked(feature="new", **OLGA), {}, {"feature_asked": e.FeatureOffAsked(feature="new", **OLGA)}),
    (e.ExtendAsked(seconds=90.0, **OLGA), {}, {"extend_asked": 90.0}),
    (e.PageAcknowledged(**OLGA), {}, {"acknowledged_at": AT}),
    (e.RollbackStarted(cause="fail", reason="bad"), {}, {"hold": None}),
    (
        e.RollbackStarted(cause="fail", reason="bad"),
        {"rollback": None},
        {"rollback": Rollback("fail", "bad", AT), "hold": None},
    ),
    (
        e.RollbackVerified(targets={"api": YES}),
        {},
        {"targets": {"web": NO, "api": YES}, "rollback": Rollback("guard", "old", 11.0, verified=True)},
    ),
    (
        e.RollbackUnverified(targets={"api": YES}, waited_seconds=9.0),
        {},
        {"targets": {"web": NO, "api": YES}, "rollback": Rollback("guard", "old", 11.0, unverified_at=AT)},
    ),
    (
        e.RollbackUnverified(targets={}, waited_seconds=9.0),
        {"rollback": Rollback("guard", "old", 11.0, unverified_at=50.0)},
        {},
    ),
    (OTHER_END, {}, {"ended": OTHER_END, "ended_at": AT}),
    (e.Paged(incident="new", summary="", receipts=()), {}, {"paged": {"old": 13.0, "new": AT}}),
    (e.ThreadStarted(route="new", ref="here"), {}, {"threads": {"old": "ref", "new": "here"}}),
    (e.ReviewDue(offset=5.0, due=6.0), {}, {"reviews": {1.0: 2.0, 5.0: 6.0}}),
    (e.Reviewed(offset=5.0, lines=("fine",)), {}, {"reviewed": {1.0: ("old",), 5.0: ("fine",)}}),
]


def test_the_state_in_the_midst_leaves_no_field_as_it_begins() -> None:
    """Otherwise a line that sets a field back to its beginning would not be seen."""
    same = [name for name, value in vars(MIDST).items() if value == vars(NEVER)[name]]
    assert same == ["rollout", "shown"]


@pytest.mark.parametrize(("event", "before", "changes"), CASES, ids=[case[0].type for case in CASES])
def test_a_line_changes_what_it_is_about(event: e.Event, before: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """In the midst of a rollout, with `before` put right: these fields change, and no other."""
    state = replace(MIDST, **before)
    assert vars(apply(event, state, AT)) == {**vars(state), **changes}


def test_every_line_that_is_written_is_in_the_table() -> None:
    """A new kind of line needs its row, or to be one of those that only tell."""
    only_tell = {"checklist_observed", "evidence_gap", "samples_differ", "posted", "decision", ""}
    assert {event.type for event, _, _ in CASES} | only_tell >= set(e.TYPES)
