"""After full exposure there is nothing to compare with but the past: the baseline that the rollout before recorded."""

from __future__ import annotations

from dataclasses import dataclass

from canary.judge.comparison import P95
from canary.judge.evidence import Evidence
from canary.plan.model import OfBaseline
from canary.review.figures import figures
from canary.rollout.events import Baseline


@dataclass(frozen=True, slots=True)
class Compared:
    """Whether a comparison would fire when it is taken literally against the past, and why."""

    slower: bool
    reason: str


def against_past(rule: OfBaseline, former: Baseline | None, evidence: Evidence) -> Compared | None:
    """The candidate's quantile against the recorded one; None where either cannot be told."""
    if former is None:
        return None
    name = f"p{(rule.quantile or P95) * 100:g}"
    ours = figures(evidence, "canary").get(rule.measure, {}).get(name)
    past = former.figures.get(rule.measure, {}).get(name)
    if ours is None or past is None:
        return None
    slower = ours > (1 + rule.by) * past
    return Compared(
        slower,
        f"against the past: {rule.measure} {name} {ours * 1000:.1f} ms, {past * 1000:.1f} ms when "
        f"{former.version} was new; {'' if slower else 'not '}more than {rule.by:.0%} slower",
    )
