"""How this version behaves: which features it shows, how long its work takes, which fault it has."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Mapping

from canary.sandbox.wire import AI_QUEUE, PHASE1_FLAG, Fault, Feature

ERROR_SHARE = 0.3
EXTRA_LATENCY_SECONDS = 0.15
_FIRST_WITH_FEATURES = (2, 1)
# Median and 95th percentile of a log-normal, in seconds; the event loop adds about 1 ms to each.
API_WORK = (0.030, 0.080)
PUBLISH_WORK = (0.0035, 0.008)
_Z95 = 1.645
# Of the documents 3 % are unreadable: the AI is at most half sure of them. Of the others it is mostly very sure.
_UNREADABLE_SHARE = 0.03
_CLARITY = 14
_FORECAST_DEVIATION = 0.07


class Behaviour:
    """The flags and the fault are set from outside while the process runs."""

    def __init__(self, version: str, flags: Mapping[str, bool], fault: Fault, seed: int) -> None:
        self.flags = flags
        self._has_features = _release(version) >= _FIRST_WITH_FEATURES
        self._fault = fault
        self._fault_changed = asyncio.Event()
        self._random = random.Random(seed)

    @property
    def fault(self) -> Fault:
        return self._fault

    def suffer(self, fault: Fault) -> None:
        self._fault = fault
        self._fault_changed.set()
        self._fault_changed = asyncio.Event()

    def shows(self, feature: Feature, *, internal: bool) -> bool:
        """Internal users see every feature of the version; others only what the flags switch on."""
        switched_on = self.flags[PHASE1_FLAG] and self.flags[feature.flag]
        return self._has_features and (internal or switched_on)

    def throws(self, feature: Feature, *, internal: bool) -> bool:
        """The bug is in the feature's code: a component that does not show its feature is sound."""
        return self._fault == "ui" and feature.throws and self.shows(feature, internal=internal)

    def fails(self, feature: Feature | None, *, internal: bool) -> bool:
        """Whether this call of a feature's endpoint ends in a 500: with `errors` each may, with `feature` those of one
        feature alone, and only while it is on. `feature` is None for what is no use of one."""
        one = feature is AI_QUEUE and self.shows(AI_QUEUE, internal=internal)
        broken = self._fault == "errors" or (self._fault == "feature" and one)
        return broken and self._random.random() < ERROR_SHARE

    async def starve(self) -> None:
        """Returns at once, or, while the fault `starve` lasts, not at all."""
        while self._fault == "starve":
            await self._fault_changed.wait()

    async def work(self, median_and_p95: tuple[float, float]) -> None:
        """Take as long as real work would."""
        median, p95 = median_and_p95
        seconds = self._random.lognormvariate(math.log(median), math.log(p95 / median) / _Z95)
        await asyncio.sleep(seconds + (EXTRA_LATENCY_SECONDS if self._fault == "latency" else 0.0))

    def confidence(self) -> float:
        """How sure the AI is of a document's type, 0–1: above 0.85 for 87 % of them, below 0.5 for 3 %."""
        most = 0.5 if self._random.random() < _UNREADABLE_SHARE else 1.0
        return float(most * self._random.random() ** (1 / _CLARITY))

    def forecast_error_ratio(self) -> float:
        """By what share a forecast misses the actual value: below 0.2 for 99.6 % of them."""
        return abs(self._random.gauss(0, _FORECAST_DEVIATION))

    def price_eur(self) -> float:
        return round(self._random.uniform(0.5, 5.0), 2)


def _release(version: str) -> tuple[int, int]:
    """Major and minor; (0, 0) for a version that names none, which then has no features."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
