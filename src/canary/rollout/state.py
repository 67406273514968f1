"""Where a rollout stands. There is no other memory: a conductor that starts anew folds the journal and goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canary.judge.evidence import Evidence
from canary.judge.verdict import PhaseVerdict
from canary.rollout import events as e
from canary.rollout.fired import FiredAlert
from canary.rollout.halts import Approval, Asked, FeatureOff, Hold, Rollback, Stop
from canary.rollout.looks import Looks


@dataclass(frozen=True)
class State:
    """Where a rollout stands. Times are unix seconds, shares 0–1."""

    rollout: str
    seq: int = 0
    plan_hash: str = ""
    service: str = ""
    version: str = ""
    requested_by: str = ""
    started_at: float = 0.0
    epoch: int = 0
    takeovers: int = 0
    took_at: float = 0.0
    flow_run: str | None = None
    asked_run: Asked | None = None
    release: Mapping[str, e.Identities] = field(default_factory=dict)
    stable_version: str = ""
    phase: str = ""
    phase_since: float = 0.0
    passed: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()
    prepared: frozenset[str] = frozenset()
    unready: str | None = None
    approval: Approval | None = None
    rejected: str | None = None
    looks: Looks = field(default_factory=Looks)
    skipped: tuple[str, ...] = ()
    asked: float = 0.0
    raise_open: bool = False
    shown: bool = True
    tries: int = 0
    asked_since: float = 0.0
    exposed: float = 0.0
    exposed_phase: str = ""
    targets: Mapping[str, e.Shown] = field(default_factory=dict)
    soaking: str = ""
    due: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)
    verdict: PhaseVerdict | None = None
    sampled_at: float | None = None
    blind_since: float | None = None
    blind_reason: str = ""
    bad_requests: float = 0.0
    extended: bool = False
    extend_asked: float = 0.0
    hold: Hold | None = None
    override: e.PromoteAsked | None = None
    feature_asked: e.FeatureOffAsked | None = None
    feature_off: FeatureOff | None = None
    features_off: tuple[str, ...] = ()
    stop: Stop | None = None
    rollback: Rollback | None = None
    ended: e.RolloutEnded | None = None
    ended_at: float = 0.0
    paged: Mapping[str, float] = field(default_factory=dict)
    acknowledged_at: float = 0.0
    threads: Mapping[str, str] = field(default_factory=dict)
    watched_at: float = 0.0
    watched: frozenset[int] = frozenset()
    watch_bad: bool = False
    alerts: tuple[FiredAlert, ...] = ()
    soak_since: float = 0.0
    canary_seconds: float = 0.0
    former: e.Baseline | None = None
    closed: Mapping[str, e.ClosingDone] = field(default_factory=dict)
    reviews: Mapping[float, float] = field(default_factory=dict)
    reviewed: Mapping[float, tuple[str, ...]] = field(default_factory=dict)

    def changed(self, **changes: Any) -> State:
        """With these fields changed. A line of the journal changes few of so many, and `dataclasses.replace` goes
        through all of them: it takes ten times as long."""
        after = object.__new__(State)
        after.__dict__.update(self.__dict__, **changes)
        return after

    @property
    def raised(self) -> bool:
        """Whether users may be on the candidate: asked, or asked and not yet seen."""
        return self.asked > 0 or self.raise_open

    @property
    def at_full(self) -> bool:
        """Everybody was seen on the candidate, it was judged good, and nobody asked for anything else since."""
        everybody = self.exposed == 1 and self.asked == 1
        return everybody and self.exposed_phase in self.passed and not (self.stop or self.rollback)

    @property
    def recovering(self) -> FeatureOff | None:
        """The feature that is off, as long as it is not known whether that was enough."""
        off = self.feature_off
        return off if off and not off.recovered and not (self.stop or self.rollback) else None

    @property
    def without_a_feature(self) -> bool:
        """Whether it stands where it is because of a feature that was switched off, and a person must decide."""
        held = self.hold is not None and not (self.ended or self.stop or self.rollback)
        return held and self.feature_off is not None and self.feature_off.recovered

    def rises(self, share: float) -> bool:
        """Whether asking for the share may put more users on the candidate than the last look showed there."""
        seen = [self.targets.get(name) for name in self.release]
        return not all(s and s.observed is not None and s.observed >= share for s in seen)
