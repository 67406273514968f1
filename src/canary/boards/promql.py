"""Signals in PromQL, for dashboards and alert rules. The judge never uses these: `rate` extrapolates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.plan.signals import Signal
from canary.ports import NOTHING


@dataclass(frozen=True, slots=True)
class Over:
    """Which series, over which time.

    window: a PromQL duration such as "5m", or a variable of Grafana's. arm: label → exact value; none means all
    series of the signal. ago: a PromQL duration by which all is looked at earlier, or "".
    """

    window: str
    arm: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    ago: str = ""


def quoted(value: str) -> str:
    """PromQL strings have Go's escapes, which JSON's are when non-ASCII text stays as it is."""
    return json.dumps(value, ensure_ascii=False)


def share(signal: Signal, over: Over) -> str:
    """The share of bad events, 0–1; 0 when there are events and not one bad one has ever been seen."""
    every = _rate(_of(signal.of or _counter(signal), signal, over), over)
    return f"({_rate(bad_events(signal, over), over)} or 0 * {every}) / {every}"


def bad_events(signal: Signal, over: Over) -> str:
    """The selector of the series that count bad events alone."""
    return _of(_counter(signal), signal, over, signal.bad)


def per_second(signal: Signal, over: Over) -> str:
    """Events a second."""
    return _rate(_of(_counter(signal), signal, over), over)


def quantile(signal: Signal, at: float, over: Over) -> str:
    """A quantile (0–1) of a histogram in seconds, or of ratios 0–1, interpolated between bucket edges."""
    buckets = _of(f"{signal.histogram}_bucket", signal, over)
    found = f"histogram_quantile({at:g}, {_rate(buckets, over, ' by (le)')})"
    return f"{found} / 1000" if signal.unit == "ms" else found


def last(signal: Signal, over: Over) -> str:
    """A gauge's newest value, summed over instances."""
    return f"sum({_of(signal.gauge or '', signal, over)}{_ago(over)})"


def _rate(selector: str, over: Over, by: str = "") -> str:
    return f"sum{by}{' ' if by else ''}(rate({selector}[{over.window}]{_ago(over)}))"


def _ago(over: Over) -> str:
    return f" offset {over.ago}" if over.ago else ""


def _counter(signal: Signal) -> str:
    return signal.counter or ""


def _of(name: str, signal: Signal, over: Over, also: Mapping[str, str] = NOTHING) -> str:
    exact = [f"{label}={quoted(value)}" for label, value in over.arm.items()]
    patterns = [f"{label}=~{quoted(value)}" for which in (signal.where, also) for label, value in which.items()]
    matchers = ",".join([*exact, *patterns])
    return f"{name}{{{matchers}}}" if matchers else name
