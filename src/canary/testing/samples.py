"""Raw samples behind Prometheus's query API, without PromQL: it knows `metric{label=~"…"}[window]` and `vector(1)`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_QUERY = re.compile(r"(\w+)(?:\{(.*)\})?\[(\d+)ms\]")
_MATCHER = re.compile(r'(\w+)(=~|=)("(?:[^"\\]|\\.)*")')
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Samples:
    """Series in memory; `warnings` come with every answer, `broken` names get 422 in place of theirs."""

    series: dict[_Key, list[tuple[float, float]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def add(self, name: str, labels: Mapping[str, str], at: float, value: float) -> None:
        """One sample, at unix seconds; times only rise."""
        self.series.setdefault((name, tuple(sorted(labels.items()))), []).append((at, value))

    def forget(self, before: float) -> None:
        """Samples from before that time, unix seconds, and series without any newer one."""
        kept = {key: [s for s in samples if s[0] >= before] for key, samples in self.series.items()}
        self.series = {key: samples for key, samples in kept.items() if samples}

    def answer(self, query: str, at: float) -> tuple[int, dict[str, Any]]:
        """Status and body, as Prometheus answers an instant query."""
        if query == "vector(1)":
            return self._found("vector", [{"metric": {}, "value": [at, "1"]}])
        match = _QUERY.fullmatch(query)
        if match is None:
            return 400, _error("bad_data", 'this server knows raw samples alone, such as up{job=~"a|b"}[300000ms]')
        if match[1] in self.broken:
            return 422, _error("execution", f"expanding series of {match[1]}: the store is broken")
        return self._found("matrix", [*self._select(match[1], match[2] or "", at - int(match[3]) / 1000, at)])

    def _select(self, name: str, matchers: str, since: float, until: float) -> Iterator[dict[str, Any]]:
        wanted = [(label, op, json.loads(text)) for label, op, text in _MATCHER.findall(matchers)]
        for (series, labels), samples in self.series.items():
            if series != name:
                continue
            known = dict(labels)
            if not all(_matches(known.get(label, ""), op, value) for label, op, value in wanted):
                continue
            # Ends are included: Prometheus has left the first one out since 3.0, and we ask far enough back.
            if values := [[at, str(value)] for at, value in samples if since <= at <= until]:
                yield {"metric": {"__name__": series, **known}, "values": values}

    def _found(self, kind: str, result: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        warned = {"warnings": self.warnings} if self.warnings else {}
        return 200, {"status": "success", "data": {"resultType": kind, "result": result}, **warned}


def _matches(value: str, op: str, wanted: str) -> bool:
    return bool(re.fullmatch(wanted, value)) if op == "=~" else value == wanted


def _error(kind: str, said: str) -> dict[str, Any]:
    return {"status": "error", "errorType": kind, "error": said}
