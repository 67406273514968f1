"""Metrics read from a Prometheus server, as raw samples."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import Field, PrivateAttr, model_validator

from canary.blocks import raw
from canary.blocks.base import CanaryBlock, MaybeSecret, Url
from canary.blocks.http import DEADLINE, OPEN, Credential, Http, bearer, within
from canary.errors import MeasurementFailed, ProviderError, ProviderUnavailable
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Signal
from canary.ports import Scrape

LOOKBACK_SECONDS = 300.0
"""How far before `since` a series' base is looked for: Prometheus itself calls a series stale after that."""
_BODY_LIMIT = 64 * 2**20


class PrometheusServer(CanaryBlock):
    """Prometheus, or what speaks its HTTP API. Asks for raw samples: an instant query of `metric{…}[window]`.

    Increments come from those samples by the same function as for every other source, never from `rate()`,
    which extrapolates.
    """

    _block_type_name = "Canary: Prometheus server"
    _block_type_slug = "prometheus"
    _description = "Reads metrics from a Prometheus server, or from anything that speaks its query API."

    url: Url = Field(description="Base address; /api/v1/query is added.")
    bearer: MaybeSecret = Field(default=None, description="Bearer token, when the server asks for one.")
    username: str = Field(default="", description="User for basic authentication, when the server asks for it.")
    password: MaybeSecret = Field(default=None, description="Password for basic authentication.")

    _http: Http = PrivateAttr()
    _as: Credential = PrivateAttr()

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.bearer and self.password:
            raise ValueError("bearer: give either bearer, or username and password")
        if bool(self.username) != bool(self.password):
            raise ValueError("username: username and password belong together")
        return self

    def open(self) -> None:
        """Make the client and what proves who asks."""
        self._as, composed = OPEN, ""
        if self.bearer:
            self._as = bearer("bearer", self.bearer.get_secret_value())
        elif self.password:
            pair = f"{self.username}:{self.password.get_secret_value()}"
            composed = base64.b64encode(pair.encode()).decode()
            self._as = Credential("password", {"authorization": f"Basic {composed}"})
        self._http = self._http_client(composed)

    async def check_connection(self) -> None:
        """Asks for `vector(1)`. Raises CredentialError or MeasurementFailed."""
        try:
            await self._ask("vector(1)", self._clock.now())
        except ProviderError as error:
            raise MeasurementFailed(error.what, error.fix) from None

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """One query per metric name, all at once; samples reach back before `since` for their bases."""
        series = await self._raw(signals, _matchers(arms), since, until)
        return increments(series, signals, arms, since, until)

    async def past(
        self, signals: Mapping[str, Signal], labels: Mapping[str, str], since: float, until: float
    ) -> Sequence[Series]:
        """All raw series behind the signals whose labels have these values, each with its base. Raises as `read` does.

        An hour or so at once: an answer of more than 64 MB is refused.
        """
        selector = ",".join(f"{label}={_quoted(value)}" for label, value in labels.items())
        return await self._raw(signals, f"{{{selector}}}", since, until)

    async def _raw(self, signals: Mapping[str, Signal], selector: str, since: float, until: float) -> list[Series]:
        window_ms = round((max(0.0, until - since) + LOOKBACK_SECONDS) * 1000)
        queries = [f"{name}{selector}[{window_ms}ms]" for name in sorted(raw.names(signals))]
        with raw.measuring():
            async with within(DEADLINE, f"{self.ref}: read") as group:
                asked = [group.create_task(self._ask(query, until)) for query in queries]
            return [one for answer in asked for one in self._series(answer.result())]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _ask(self, query: str, at: float) -> Any:
        """The `result` of an instant query."""
        asked = {"query": query, "time": f"{at:.3f}"}
        url = f"{self.url}/api/v1/query"
        said = await self._http.ask("POST", url, as_=self._as, data=asked, limit=_BODY_LIMIT)
        warnings = said.get("warnings") if isinstance(said, dict) else None
        if warnings:
            # Such an answer may be partial; too few errors counted would be good news that is not true.
            raise ProviderUnavailable(
                f"{self.ref}: Prometheus warns of its own answer: {self._http.hide(str(warnings))}",
                "look at the server's own log; the next read asks again",
            )
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
            f"{self.ref}: {self.url}/api/v1/query answered JSON that is no query result",
            "check that the block's url is a Prometheus API",
        )


def _one_series(said: Any) -> Series:
    labels = {str(label): str(value) for label, value in said["metric"].items()}
    samples = tuple((float(at), float(value)) for at, value in said.get("values", ()))
    return Series(labels.pop("__name__"), labels, samples)


def _matchers(arms: Arms) -> str:
    """Narrows to both arms by the labels that both name; which series is whose is told later, exactly."""
    both = [label for label in arms.canary if label in arms.baseline]
    one_of = {label: f"{re.escape(arms.canary[label])}|{re.escape(arms.baseline[label])}" for label in both}
    return "{" + ",".join(f"{label}=~{_quoted(value)}" for label, value in one_of.items()) + "}"


def _quoted(value: str) -> str:
    """PromQL strings have Go's escapes, which JSON's are when non-ASCII text stays as it is."""
    return json.dumps(value, ensure_ascii=False)
