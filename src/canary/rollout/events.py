"""What can happen to a rollout: the shapes of its journal's lines.

A line once written stays readable: fields are only added, with defaults, and unknown ones are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from canary.rollout.event import TYPES as TYPES
from canary.rollout.event import Event as Event
from canary.rollout.event import not_understood as not_understood
from canary.rollout.event import parse as parse
from canary.rollout.fired import FiredAlert
from canary.rollout.parts import Baseline as Baseline
from canary.rollout.parts import Identities as Identities
from canary.rollout.parts import Shown as Shown

Outcome = Literal["promoted", "rolled_back", "held", "unverified", "refused"]
Cause = Literal["fail", "abort", "no evidence", "undecided", "approval", "staging", "platform", "conductor", "guard"]


# --- the rollout itself -------------------------------------------------------------------------------------


class RolloutStarted(Event):
    plan: str
    plan_hash: str
    service: str
    version: str
    requested_by: str
    how: str
    flow_run: str | None = None


class ConductorTook(Event):
    """A process took the service's lock; from here its epoch counts."""

    holder: str
    epoch: int
    lease_seconds: float


class ConductorAsked(Event):
    """The guard asks Prefect for another run, in place of the conductor that died in `epoch`. `attempt` from 1."""

    attempt: int
    epoch: int


class ChecklistObserved(Event):
    """One item of the checklist before anything is touched. `kind`: file, command, url or word_of.

    `sha256`: hex, of the file, of what the command printed, of the page, or of the words; "" where there was nothing.
    """

    item: str
    kind: str
    outcome: Literal["fulfilled", "unproven", "not fulfilled"]
    detail: str
    sha256: str


class PreflightPassed(Event):
    """Everything the rollout needs answered; what was observed as stable is the way back.

    `former` is the baseline that the rollout before this one recorded.
    """

    release: Mapping[str, Identities]
    stable_version: str
    sealed: tuple[str, ...]
    former: Baseline | None = None


class RolloutEnded(Event):
    outcome: Outcome
    phase: str
    reason: str
    verified: bool


# --- phases -------------------------------------------------------------------------------------------------


class PhaseStarted(Event):
    phase: str


class PrepareIntended(Event):
    target: str
    candidate: str


class PrepareObserved(Event):
    target: str
    ready: bool
    detail: str


class CheckObserved(Event):
    """`scripted_views`: pages of the candidate that the check visited, opportunities that no user made."""

    name: str
    outcome: Literal["passed", "failed", "cannot tell", "skipped"]
    detail: str
    scripted_views: int = 0


class ChecksLooked(Event):
    """One round over all checks of the phase is complete."""

    phase: str
    round: int
    passed: int
    failed: tuple[str, ...]


class ApprovalAsked(Event):
    """`subject` is the hash over the plan's hash and the evidence so far: an approval counts for it alone."""

    phase: str
    roles: tuple[str, ...]
    due: float
    subject: str


class ExposureIntended(Event):
    share: float
    targets: tuple[str, ...]
    why: str


class ExposureObserved(Event):
    share: float
    targets: Mapping[str, Shown]

    @property
    def verified(self) -> bool:
        return all(shown.answer == "yes" for shown in self.targets.values())


class ExposureDrifted(Event):
    """A target shows another share than it was asked for."""

    asked: float
    targets: Mapping[str, Shown]


class SoakStarted(Event):
    phase: str
    due: float


class Sampled(Event):
    """One block of raw increments, as the judge folds it (see canary.judge.evidence.Block.to_data)."""

    block: Mapping[str, Any]


class MeasurementFailed(Event):
    """The metrics could not be read: said once per outage, not once per tick."""

    reason: str


class MeasurementBack(Event):
    blind_seconds: float


class EvidenceGap(Event):
    """Between these times nothing was measured: nobody conducted, and the source has no memory. Unix seconds."""

    since: float
    until: float


class SamplesDiffer(Event):
    """Read again, the source tells of these blocks (their ends) otherwise than when they were new: that counts."""

    blocks: tuple[float, ...]
    compared: int


class Judged(Event):
    """A verdict over the phase (see canary.judge.verdict.PhaseVerdict.to_data).

    Journaled when the outcome changes, now and then for its numbers, and at the deadline.
    """

    phase: str
    changed: bool = True
    verdict: Mapping[str, Any]


class FeatureOffIntended(Event):
    """One feature of the candidate is switched off, by its flag on that target; the rest stays where it is.

    candidate: the target's identity without it. measure, rate: which bad events it caused, and how many a request of
    the candidate; "" and 0 where a person asked.
    """

    feature: str
    flag: str
    target: str
    candidate: str
    why: str
    measure: str = ""
    rate: float = 0.0


class FeatureRecovered(Event):
    """Judged anew without the feature, the candidate does no harm any more."""

    feature: str
    detail: str


class PhaseExtended(Event):
    phase: str
    due: float
    reason: str


class ClosingDone(Event):
    """One step after full exposure: done, or given up with the reason. `data` is what came of it."""

    step: str
    ok: bool
    detail: str
    data: Mapping[str, Any] = {}


class HoldStarted(Event):
    phase: str
    until: float
    reason: str


class PhasePassed(Event):
    phase: str
    reason: str
    overridden_by: str | None = None


# --- people -------------------------------------------------------------------------------------------------


class Decision(Event):
    """The base of a person's entry. `how` says by which way the name was learnt; `proven` is true only when that
    way proves who it was."""

    by: str
    how: str
    reason: str
    proven: bool = False


class ApprovalGiven(Decision):
    role: str
    subject: str


class ApprovalRejected(Decision):
    role: str


class AbortAsked(Decision):
    pass


class RollbackAsked(Decision):
    pass


class HoldAsked(Decision):
    pass


class ResumeAsked(Decision):
    pass


class PromoteAsked(Decision):
    pass


class ExtendAsked(Decision):
    """`seconds` of plan time."""

    seconds: float


class FeatureOffAsked(Decision):
    """Only that feature is to go."""

    feature: str


class PageAcknowledged(Decision):
    pass


# --- rollback, pages, review --------------------------------------------------------------------------------


class RollbackStarted(Event):
    cause: Cause
    reason: str


class RollbackVerified(Event):
    targets: Mapping[str, Shown]


class RollbackUnverified(Event):
    targets: Mapping[str, Shown]
    waited_seconds: float


class Paged(Event):
    incident: str
    summary: str
    receipts: tuple[Mapping[str, Any], ...]


class Posted(Event):
    """A message that no route delivered. No longer written: journals of the first versions hold it."""

    message: str
    receipts: tuple[Mapping[str, Any], ...]


class ThreadStarted(Event):
    """The rollout's thread on this route begins at `ref`, the route's own name for the place."""

    route: str
    ref: str


class Watched(Event):
    """One look after full exposure: the block it saw, the verdict, what was worse than the past, and the alerts.

    `seconds`: how much of the time since the last look was seen.
    """

    number: int
    block: Mapping[str, Any]
    verdict: Mapping[str, Any]
    seconds: float
    past: tuple[str, ...] = ()
    alerts: tuple[FiredAlert, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a limit is broken."""
        return self.verdict.get("outcome") == "FAIL"

    @property
    def bad(self) -> bool:
        """Whether somebody should look: a limit is broken, it is worse than the past, or a critical alert fires."""
        return self.failed or bool(self.past) or any(alert.wakes for alert in self.alerts)


class WatchBlind(Event):
    """A look that could not be: neither good nor bad, and somebody should see to it."""

    number: int
    reason: str

    @property
    def bad(self) -> bool:
        return True


class ReviewDue(Event):
    """The review of this offset (seconds after full) is to run at `due`."""

    offset: float
    due: float


class Reviewed(Event):
    offset: float
    lines: tuple[str, ...]
