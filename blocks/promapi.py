"""Prometheus's query API, itself or behind a proxy: raw samples by instant queries of `metric{…}[window]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canary.blocks import raw
from canary.blocks.http import DEADLINE, Credential, Http, within
from canary.boards.promql import quoted
from canary.errors import ProviderUnavailable
from canary.judge.series import Series
from canary.plan.model import Arms, Signal

LOOKBACK_SECONDS = 300.0
"""How far before `since` a series' base is looked for: Prometheus itself calls a series stale after that."""
BODY_LIMIT = 64 * 2**20


@dataclass(frozen=True, slots=True)
class PromApi:
    """`{url}/api/v1/query`, asked as `as_` by a block's client. Verbs raise as `Http.ask` does."""

    http: Http
    url: str
    as_: Credential

    async def series(self, queries: Sequence[str], at: float) -> list[Series]:
        """The raw series of all the queries, asked side by side, as of unix seconds `at`."""
        async with within(DEADLINE, f"{self.http.ref}: read") as group:
            asked = [group.create_task(self.ask(query, at)) for query in queries]
        return [one for answer in asked for one in self._series(answer.result())]

    async def check(self, at: float) -> None:
        """Asks for what every server can answer."""
        await self.ask("vector(1)", at)

    async def ask(self, query: str, at: float) -> Any:
        """The `result` of an instant query."""
        asked = {"query": query, "time": f"{at:.3f}"}
        url = f"{self.url}/api/v1/query"
        said = await self.http.ask("POST", url, as_=self.as_, data=asked, limit=BODY_LIMIT)
        warnings = said.get("warnings") if isinstance(said, dict) else None
        if warnings:
            raise partial(self.http, str(warnings))
        try:
            return said["data"]["result"]
        except (KeyError, TypeError):
            raise self._unreadable() from None

    def _series(self, result: Any) -> Iterable[Series]:
        try:
            return [_one_series(one) for one in result]
        except (KeyError, TypeError, ValueError, AttributeError):
            unreadable = self._unreadable()
        # Outside of the handler: what cannot be converted is quoted, and would be the context of this error.
        raise unreadable

    def _unreadable(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self.http.ref}: {self.url}/api/v1/query answered JSON that is no query result",
            "check that the block's url is a Prometheus API",
        )


def _one_series(said: Any) -> Series:
    labels = {str(label): str(value) for label, value in said["metric"].items()}
    samples = tuple((float(at), float(value)) for at, value in said.get("values", ()))
    return Series(labels.pop("__name__"), labels, samples)


def partial(http: Http, warnings: str) -> ProviderUnavailable:
    """Such an answer may lack a part; too few errors counted would be good news that is not true."""
    return ProviderUnavailable(
        f"{http.ref}: Prometheus warns of its own answer: {http.hide(warnings)}",
        "look at the server's own log; the next read asks again",
    )


def told(http: Http, found: list[Series]) -> list[Series]:
    """The same, for people to see their labels. Raises ProviderUnavailable where one repeats a secret."""
    http.no_echo("a query", sorted({word for one in found for pair in one.labels.items() for word in pair}))
    return found


def queries(signals: Mapping[str, Signal], selector: str, since: float, until: float) -> list[str]:
    """One query per metric name, as of `until`; samples reach back before `since` for their bases."""
    window_ms = round((max(0.0, until - since) + LOOKBACK_SECONDS) * 1000)
    return [f"{name}{selector}[{window_ms}ms]" for name in sorted(raw.names(signals))]


def of_arms(arms: Arms) -> str:
    """Narrows to both arms by the labels that both name; which series is whose is told later, exactly."""
    both = [label for label in arms.canary if label in arms.baseline]
    one_of = {label: f"{re.escape(arms.canary[label])}|{re.escape(arms.baseline[label])}" for label in both}
    return "{" + ",".join(f"{label}=~{quoted(value)}" for label, value in one_of.items()) + "}"


def of_labels(labels: Mapping[str, str]) -> str:
    """Narrows to series whose labels have exactly these values."""
    return "{" + ",".join(f"{label}={quoted(value)}" for label, value in labels.items()) + "}"
