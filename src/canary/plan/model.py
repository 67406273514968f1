"""The plan: what shall happen, as one frozen value. `canary.plan.load` makes it from YAML.

Durations are seconds of plan time, shares 0–1. The shape is checked here; that names exist, exposure rises
and targets can do what is asked is checked by `canary.plan.checks`.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from canary.plan.checklist import ChecklistItem
from canary.plan.closing import Announcement, Figure, Step, WatchSpec
from canary.plan.kinds import KINDS, kind_of
from canary.plan.phases import Approval, Check, HttpCheck, MetricsCheck, OnUndecided, Phase, bearer_of
from canary.plan.rules import (
    ON_ALL,
    AnySeen,
    NoneSeen,
    NoWorseThanBaseline,
    OfBaseline,
    QuantileAbove,
    QuantileBelow,
    RateAbove,
    RateBelow,
    RatioAbove,
    RatioBelow,
    Rule,
    WorseThanBaseline,
    narrowing,
)
from canary.plan.signals import Arms, Feature, Signal, Strict, can_narrow, narrow
from canary.plan.units import FILES, Boards, Label, Line, Name, Ref, Risk, Seconds, SlackUser
from canary.plan.visits import UiCheck
from canary.plan.watching import Alerts, KeyMetric, Kpi, Source

__all__ = [
    "Alerts",
    "Announcement",
    "AnySeen",
    "Approval",
    "Arms",
    "Check",
    "ChecklistItem",
    "Feature",
    "Figure",
    "HttpCheck",
    "KeyMetric",
    "Kpi",
    "MetricsCheck",
    "NoWorseThanBaseline",
    "NoneSeen",
    "Notify",
    "OfBaseline",
    "OnUndecided",
    "Phase",
    "Plan",
    "QuantileAbove",
    "QuantileBelow",
    "RateAbove",
    "RateBelow",
    "RatioAbove",
    "RatioBelow",
    "ReviewSpec",
    "Role",
    "RollbackSpec",
    "Rule",
    "Signal",
    "Source",
    "Step",
    "TargetSpec",
    "UiCheck",
    "WatchSpec",
    "WorseThanBaseline",
]


class TargetSpec(Strict):
    """A place where the release receives traffic."""

    use: Ref
    """The block that reaches it, such as envoy/docflow-api."""
    artifact: str = "{version}"
    """What the candidate is called there, by its {version}. Kinds without artifacts ignore it."""
    set: dict[Label, bool] = Field(default_factory=dict)
    """Flags: the values that the candidate brings."""
    read_by: tuple[Name, ...] = ()
    """Flags: the targets that alone read them, and so limit who sees them."""


class Notify(Strict):
    """Where people are told."""

    updates: tuple[Ref, ...] = ()
    """Every step goes there."""
    page: tuple[Ref, ...]
    """Whatever needs a person now goes there."""


class Role(Strict):
    """A person who may be asked to approve."""

    name: Line
    slack: SlackUser | None = None
    """The Slack member id."""


class RollbackSpec(Strict):
    """The limit on a rollback."""

    within: Seconds = 300.0
    """Real seconds, whatever the time scale: a rollback not verified by then counts as unverified."""


class ReviewSpec(Strict):
    """The reports after the rollout."""

    after: tuple[Seconds, ...] = (24 * 3600.0, 48 * 3600.0)
    """Real seconds after full exposure, rising, whatever the time scale."""


class Plan(Strict):
    """What shall happen to one service."""

    name: Name
    service: Name
    targets: dict[Name, TargetSpec] = Field(min_length=1)
    """In the order in which they are exposed: what others call comes first."""
    mixed_versions: Literal["ok"] | None = None
    """ok: users may meet the new version of one target and the old one of another."""
    metrics: Ref
    """The block that reads measurements."""
    dashboards: Boards = FILES
    """The block that keeps dashboards and alert rules; files: they are left beside the rollout's other documents."""
    arms: Arms
    signals: dict[Name, Signal] = Field(min_length=1)
    traffic: Name
    """The counter signal whose total counts every finished request."""
    notify: Notify
    roles: dict[Name, Role] = Field(default_factory=dict)
    features: dict[Name, Feature] = Field(default_factory=dict)
    checklist: tuple[ChecklistItem, ...] = ()
    """Looked at before anything is touched; what is not fulfilled refuses the rollout."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    alpha: Risk = 0.01
    """The chance that a healthy release is rolled back by the statistical rules together."""
    beta: Risk = 0.05
    """The chance that a rule which is broken is taken for kept."""
    backtest: Literal["required"] | None = None
    """required: no rollout begins before a backtest of these rules has passed (canary plan backtest)."""
    rollback: RollbackSpec = RollbackSpec()
    audit: dict[Name, Figure] = Field(default_factory=dict)
    """The success metrics of the audit event, by their names there."""
    announce: Announcement | None = None
    review: ReviewSpec = ReviewSpec()
    watch: WatchSpec | None = None
    """Without it nobody looks on after full exposure."""
    key_metrics: dict[Name, tuple[KeyMetric, ...]] = Field(default_factory=dict)
    """Group → what the review shows in one table; watched, never judged."""
    alerts: Alerts = Alerts()
    """What the watch and the review tell when it fires."""
    kpis: tuple[Kpi, ...] = ()
    """What the review says MET or MISSED of."""
    sources: dict[Name, Source] = Field(default_factory=dict)
    """Where the review finds what no metric has: surveys, tickets, feature requests."""
    time_scale: float = Field(default=1.0, gt=0, le=1000, allow_inf_nan=False)
    """Plan seconds per real second; for demonstrations."""
    grant_approvals: bool = False
    """Approvals are granted by the plan itself; for demonstrations."""
    without: tuple[Line, ...] = ()
    """Names of checks that are skipped, and shown as skipped."""

    def seconds(self, plan_seconds: float) -> float:
        """Real seconds of a duration in plan time.

        For a phase's `for`, an approval's `within`, and all of `on_undecided`. `rollback.within` and
        `review.after` are real seconds already: do not pass them.
        """
        return plan_seconds / self.time_scale

    def measures(self, phase: Phase) -> dict[str, Signal]:
        """Measure id → the (narrowed) signal behind it: what is judged in the phase, then what is only watched."""
        return {measure: self._signal(measure) for measure in dict.fromkeys((*self.judged(phase), *self.watched()))}

    def judged(self, phase: Phase) -> tuple[str, ...]:
        """Measure ids of the phase's rules and of the plan's `traffic`, and what tells which feature a bad event came
        from; each once."""
        rules = (rule.measure for rule in (*phase.criteria, *phase.triggers))
        return tuple(dict.fromkeys((self.traffic, *rules, *self._attributing(phase))))

    def _attributing(self, phase: Phase) -> list[str]:
        """Each counted signal of the phase's rules, for each feature that can be switched off by itself."""
        signals = {rule.signal: self.signals[rule.signal] for rule in (*phase.criteria, *phase.triggers)}
        counted = {name: signal for name, signal in signals.items() if signal.is_a == "rate" and phase.exposure}
        alone = {name: feature for name, feature in self.features.items() if self.switch_of(name)}
        pairs = ((signal, feature) for signal in counted for feature in alone)
        return [f"{signal} on {one}" for signal, one in pairs if can_narrow(counted[signal], alone[one])]

    def switch_of(self, feature: str) -> str | None:
        """The target whose flags switch this feature off by itself, at any exposure; None where none does."""
        flag = self.features[feature].flag
        return next((name for name, spec in self.targets.items() if flag and spec.set.get(flag)), None)

    def watched(self) -> tuple[str, ...]:
        """Measure ids of key metrics, alerts, KPIs and the audit's figures, each once; some may be judged, too."""
        metrics = [metric for group in self.key_metrics.values() for metric in group]
        pairs = [*((m.signal, m.of) for m in metrics), *((kpi.signal, kpi.of) for kpi in self.kpis)]
        named = [name for pair in pairs for name in pair if name]
        rules = (rule for _, rule in self.alerts.each())
        figures = (figure.signal for figure in self.audit.values())
        return tuple(dict.fromkeys((*named, *(rule.measure for rule in rules), *figures)))

    def _signal(self, measure: str) -> Signal:
        signal, on = self.signals[measure.partition(" on ")[0]], narrowing(measure)
        if not on:
            return signal
        names = self.features if on == (ON_ALL,) else on
        return narrow(signal, [self.features[name] for name in names])

    @property
    def closing(self) -> tuple[Step, ...]:
        """What is done once everybody has the candidate, in order."""
        return self.phases[-1].then

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of all phases that are not skipped."""
        return tuple(check for phase in self.phases for check in phase.checks if check.name not in self.without)

    def block_refs(self) -> tuple[str, ...]:
        """Every block the plan can need, once: targets, metrics, dashboards, notifiers, tokens of checks to be done."""
        tokens = [ref for check in self.checks if (ref := bearer_of(check))]
        targets = [target.use for target in self.targets.values()]
        told = [*self.notify.updates, *self.notify.page, *(self.announce.to if self.announce else ())]
        boards = [self.dashboards] if self.dashboards != FILES else []
        return tuple(dict.fromkeys([*targets, self.metrics, *boards, *told, *tokens]))

    def candidate(self, target: str, version: str) -> str:
        """The candidate's identity on a target: artifact, version, or flag values as canonical JSON."""
        spec = self.targets[target]
        kind = KINDS[kind_of(spec.use)]
        if kind.share == "boolean":
            return json.dumps(spec.set, sort_keys=True, separators=(",", ":"))
        return spec.artifact.replace("{version}", version) if kind.artifact else version
