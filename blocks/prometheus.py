"""Metrics read from a Prometheus server, as raw samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, PrivateAttr, model_validator

from canary.blocks import raw
from canary.blocks.base import CanaryBlock, MaybeSecret, Url
from canary.blocks.http import OPEN, Credential, Http, bearer
from canary.blocks.promapi import PromApi, of_arms, of_labels, queries, told
from canary.errors import MeasurementFailed, ProviderError
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Signal
from canary.ports import Scrape


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
    _api: PromApi = PrivateAttr()

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.bearer and self.password:
            raise ValueError("bearer: give either bearer, or username and password")
        if bool(self.username) != bool(self.password):
            raise ValueError("username: username and password belong together")
        return self

    def open(self) -> None:
        """Make the client and what proves who asks."""
        asking, composed = OPEN, ""
        if self.bearer:
            asking = bearer("bearer", self.bearer.get_secret_value())
        elif self.password:
            pair = f"{self.username}:{self.password.get_secret_value()}"
            composed = base64.b64encode(pair.encode()).decode()
            asking = Credential("password", {"authorization": f"Basic {composed}"})
        self._http = self._http_client(composed)
        self._api = PromApi(self._http, self.url, asking)

    async def check_connection(self) -> None:
        """Asks for `vector(1)`. Raises CredentialError or MeasurementFailed."""
        try:
            await self._api.check(self._clock.now())
        except ProviderError as error:
            raise MeasurementFailed(error.what, error.fix) from None

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """One query per metric name, all at once; samples reach back before `since` for their bases."""
        series = await self._raw(signals, of_arms(arms), since, until)
        return increments(series, signals, arms, since, until)

    async def past(
        self, signals: Mapping[str, Signal], labels: Mapping[str, str], since: float, until: float
    ) -> Sequence[Series]:
        """All raw series behind the signals whose labels have these values, each with its base. Raises as `read` does.

        An hour or so at once: an answer of more than 64 MB is refused.
        """
        with raw.measuring():
            found = await self._api.series(queries(signals, of_labels(labels), since, until), until)
            return told(self._http, found)

    async def _raw(self, signals: Mapping[str, Signal], selector: str, since: float, until: float) -> list[Series]:
        with raw.measuring():
            return await self._api.series(queries(signals, selector, since, until), until)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
