"""What a version's users met, in numbers: for the audit event, the baseline and the drafts."""

from __future__ import annotations

from collections.abc import Mapping

from canary.judge.buckets import quantile_of, whole
from canary.judge.evidence import Evidence, Tally
from canary.plan.closing import QUANTILES
from canary.plan.model import Figure
from canary.ports import Arm

TOLD = ("p50", "p95", "p99")
_DIGITS = 6


def figures(evidence: Evidence, arm: Arm) -> dict[str, dict[str, float]]:
    """Measure → what it showed: `total` counted, and `share` (0–1) or quantiles in seconds, where they can be told."""
    tallies = {measure: by_arm[arm] for measure, by_arm in evidence.tallies.items() if arm in by_arm}
    return {measure: _figures(tally) for measure, tally in sorted(tallies.items())}


def _figures(tally: Tally) -> dict[str, float]:
    shown = {name: shows(tally, name) for name in (TOLD if tally.buckets else ("share",))}
    told = {name: round(value, _DIGITS) for name, value in shown.items() if value is not None}
    return {"total": tally.total, **told}


def shows(tally: Tally, what: str) -> float | None:
    """A quantile in seconds or the share of bad events, 0–1; None when nothing was measured that tells it.

    A quantile above the highest bucket edge cannot be told either: an invented number would stand for it.
    """
    if what == "share":
        return tally.bad / tally.total if tally.total and not tally.buckets else None
    found = quantile_of(whole(tally), QUANTILES[what])
    return found.value if found else None


def measured(audit: Mapping[str, Figure], evidence: Evidence) -> dict[str, float | None]:
    """The audit event's success metrics, on the candidate, each in its own unit; None for what was not measured."""
    return {name: _in_unit(figure, evidence.tally(figure.signal, "canary")) for name, figure in audit.items()}


def _in_unit(figure: Figure, tally: Tally | None) -> float | None:
    value = shows(tally, figure.shows) if tally else None
    if value is None:
        return None
    return round(value * {"ms": 1000.0, "s": 1.0, "percent": 100.0}[figure.unit], 3)
