"""Numbers and times as the review writes them. What was not measured is a dash, never a 0."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from canary.judge.words import percent, seconds
from canary.plan.model import Signal

NOTHING = "–"


def value(number: float | None, unit: str) -> str:
    """A number in "share", "seconds", "bytes", "per hour" or plain ("number")."""
    if number is None or not math.isfinite(number):
        return NOTHING
    if unit == "share":
        return "under 0.001 %" if 0 < number < 1e-5 else percent(number)
    if unit == "seconds":
        return seconds(number)
    if unit == "bytes":
        return f"{number / 2**20:,.0f} MiB"
    plain = f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"
    return f"{plain} / h" if unit == "per hour" else plain


def unit_of(signal: Signal, shows: str, of_another: bool) -> str:
    """The unit of what is shown. A gauge's name says it, as Prometheus asks names to."""
    if shows == "share" or of_another or signal.is_a == "ratios":
        return "share"
    if signal.is_a == "times":
        return "seconds"
    if shows == "per_hour":
        return "per hour"
    return "bytes" if (signal.gauge or "").endswith("_bytes") else "number"


def counted(number: int, what: str) -> str:
    """1 alert, 2 alerts."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def change(now: float | None, before: float | None) -> str:
    """By how much `now` exceeds `before`: "+3.6 %"."""
    if now is None or not before:
        return NOTHING
    return f"{100 * (now / before - 1):+.1f} %"


def moment(at: float) -> str:
    """23 Nov 2026 13:05 UTC: one zone for all readers, and none of its hours comes twice."""
    return f"{datetime.fromtimestamp(at, UTC):%d %b %Y %H:%M} UTC"
