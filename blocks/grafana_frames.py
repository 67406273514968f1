"""`POST /api/ds/query`: Grafana asks the data source itself, and gives what came as frames.

A Prometheus data source gives raw samples, too: an instant query of `metric{…}[window]` comes back as one frame a
series, times in milliseconds. Source: grafana/pkg/promlib (converter), seen from outside as issue grafana#55870.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from canary.blocks.http import Credential, Http
from canary.blocks.promapi import BODY_LIMIT, partial
from canary.errors import ProviderUnavailable
from canary.judge.series import Sample, Series

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FrameApi:
    """`{url}/api/ds/query` for one data source, asked as `as_` by a block's client. Raises as `Http.ask` does."""

    http: Http
    url: str
    as_: Credential
    datasource: str

    async def check(self, at: float) -> None:
        """Asks for what every server can answer."""
        await self._ask({"Q": "vector(1)"}, at)

    async def series(self, queries: Sequence[str], at: float) -> list[Series]:
        """The raw series of all the queries, in one request, as of unix seconds `at`.

        A query that failed, or whose answer is not there, fails them all: what is missing could hold the errors.
        """
        if not queries:
            return []
        frames = await self._ask({f"Q{number}": query for number, query in enumerate(queries)}, at)
        return self._readable(lambda: [one for frame in frames for one in _of_frame(frame)])

    async def _ask(self, asked: Mapping[str, str], at: float) -> list[Mapping[str, Any]]:
        """The frames of all answers, each of which is there and whole."""
        url, body = f"{self.url}/api/ds/query", self._body(asked, at)
        said = await self.http.ask("POST", url, as_=self.as_, limit=BODY_LIMIT, json=body)
        return self._readable(lambda: [frame for ref in asked for frame in self._frames(said["results"][ref])])

    def _body(self, asked: Mapping[str, str], at: float) -> dict[str, Any]:
        until_ms = round(at * 1000)
        return {
            "from": str(until_ms - 1000),
            "to": str(until_ms),
            "queries": [self._query(ref, query) for ref, query in asked.items()],
        }

    def _query(self, ref: str, query: str) -> dict[str, Any]:
        source = {"type": "prometheus", "uid": self.datasource}
        once = {"instant": True, "range": False, "format": "time_series", "intervalMs": 1000, "maxDataPoints": 1}
        return {"refId": ref, "datasource": source, "expr": query, **once}

    def _frames(self, result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if error := result.get("error"):
            raise ProviderUnavailable(
                f"{self.http.ref}: the data source did not answer a query: {self.http.hide(str(error))}",
                "look at the data source in Grafana (Connections, Data sources, Test)",
            )
        for frame in result.get("frames") or ():
            self._whole(frame)
            yield frame

    def _whole(self, frame: Mapping[str, Any]) -> None:
        """Raises what the data source warns of. Source: data.Notice of grafana-plugin-sdk-go; info is no warning."""
        notices = (frame["schema"].get("meta") or {}).get("notices") or ()
        warnings = [str(notice.get("text")) for notice in notices if notice.get("severity") != "info"]
        if warnings:
            raise partial(self.http, "; ".join(warnings))

    def _readable(self, read: Callable[[], T]) -> T:
        """What `read` makes of an answer; JSON of another shape is no news."""
        try:
            return read()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
            unreadable = ProviderUnavailable(
                f"{self.http.ref}: {self.url}/api/ds/query answered JSON that is no query result",
                "check that the block's url is Grafana, and that its datasource is a Prometheus",
            )
        # Outside of the handler: what is no number is quoted there. A context manager would be inside of it.
        raise unreadable


def _of_frame(frame: Mapping[str, Any]) -> Iterator[Series]:
    """A column of times and one column a series; a frame without columns is how an empty answer looks."""
    fields, columns = frame["schema"]["fields"], frame["data"]["values"]
    if not fields:
        return
    if fields[0]["type"] != "time" or len(fields) != len(columns):
        raise ValueError("the first column is no time")
    for field, column in zip(fields[1:], columns[1:], strict=True):
        labels = {str(label): str(value) for label, value in field["labels"].items()}
        yield Series(labels.pop("__name__"), labels, _samples(columns[0], column))


def _samples(times_ms: Sequence[float], values: Sequence[float | None]) -> tuple[Sample, ...]:
    """What JSON has no number for (NaN, infinite) comes as null; no counter can have it, and it is passed over."""
    return tuple(
        (at / 1000, math.nan if value is None else float(value)) for at, value in zip(times_ms, values, strict=True)
    )
