"""What all sources of raw series share: which names a signal needs, and how failures are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from canary.errors import CredentialError, MeasurementFailed, ProviderError
from canary.plan.model import Signal


def names(signals: Mapping[str, Signal]) -> frozenset[str]:
    """The series names behind the signals, as exposed: of a histogram its buckets and its count."""
    found: set[str] = set()
    for signal in signals.values():
        if signal.histogram:
            found |= {f"{signal.histogram}_bucket", f"{signal.histogram}_count"}
        found |= {name for name in (signal.counter, signal.of, signal.gauge) if name}
    return frozenset(found)


def gauges(signals: Mapping[str, Signal]) -> frozenset[str]:
    """Of these, the names whose values are no counts."""
    return frozenset(signal.gauge for signal in signals.values() if signal.gauge)


@contextmanager
def measuring() -> Iterator[None]:
    """A platform that does not answer, or refuses, is a failed measurement: no news, neither good nor bad."""
    try:
        yield
    except (ProviderError, CredentialError) as error:
        raise MeasurementFailed(error.what, error.fix) from None
