"""Grafana: metrics read through it, and what a rollout leaves there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from canary.blocks import raw
from canary.blocks.base import CanaryBlock, Secret, Url
from canary.blocks.grafana_frames import FrameApi
from canary.blocks.grafana_push import Pushes
from canary.blocks.http import Credential, Http, Rejected, bearer
from canary.blocks.promapi import PromApi, of_arms, of_labels, queries, told
from canary.errors import CredentialError, MeasurementFailed, ProviderError
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Signal
from canary.ports import AlertRule, Scrape

_UID = r"^[a-zA-Z0-9_-]{1,40}$"


class GrafanaServer(CanaryBlock):
    """Reads a Prometheus data source of Grafana; keeps a dashboard, alert rules and annotations there.

    Both ways of reading give the raw samples that Prometheus itself would, so that increments come from them by the
    same function as for every other source.
    """

    _block_type_name = "Canary: Grafana server"
    _block_type_slug = "grafana"
    _description = "Reads metrics through Grafana, and keeps a rollout's dashboard, alert rules and annotations there."

    url: Url = Field(description="Base address of Grafana, such as https://grafana.example.com; /api is added.")
    token: Secret = Field(description="Token of a service account: Viewer reads metrics, Editor writes dashboards.")
    datasource: str = Field(pattern=_UID, description="uid of the Prometheus data source (in its settings' address).")
    reads: Literal["proxy", "query"] = Field(
        default="proxy",
        description="How metrics are read: proxy (Grafana hands the query on) or query (Grafana asks, /api/ds/query).",
    )
    folder: str = Field(
        default="prefect-canary", pattern=_UID, description="uid of the folder for dashboards and alert rules."
    )

    _http: Http = PrivateAttr()
    _api: PromApi | FrameApi = PrivateAttr()
    _pushes: Pushes = PrivateAttr()

    def open(self) -> None:
        """Make the client and what proves who asks."""
        self._http = self._http_client()
        asking = bearer("token", self.token.get_secret_value())
        self._api = self._reader(asking)
        self._pushes = Pushes(self._http, self.url, asking, self.folder, self.datasource)

    def _reader(self, asking: Credential) -> PromApi | FrameApi:
        if self.reads == "query":
            return FrameApi(self._http, self.url, asking, self.datasource)
        return PromApi(self._http, f"{self.url}/api/datasources/proxy/uid/{self.datasource}", asking)

    async def check_connection(self) -> None:
        """Asks for `vector(1)` the way that is configured. Raises CredentialError or MeasurementFailed."""
        try:
            await self._api.check(self._clock.now())
        except Rejected as error:
            # Grafana's words for a uid that it does not have; what is no Grafana at all answers 404 in other words.
            if error.status in (400, 404) and "data source" in error.what.lower():
                raise CredentialError(self.ref, "datasource", error.what) from None
            raise MeasurementFailed(error.what, "check the block's url and datasource") from None
        except ProviderError as error:
            raise MeasurementFailed(error.what, error.fix) from None

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """One query per metric name; samples reach back before `since` for their bases."""
        return increments(await self._raw(signals, of_arms(arms), since, until), signals, arms, since, until)

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

    async def check_writing(self) -> None:
        """Whether the folder may be written. Raises CredentialError, ProviderError."""
        await self._pushes.check()

    async def push(self, dashboard: Mapping[str, Any]) -> str:
        """Written only when it differs. Raises ProviderError for one that carries our tag no more."""
        return await self._pushes.dashboard(dashboard)

    async def alerts(self, group: str, rules: Sequence[AlertRule]) -> str:
        """Written only where they differ; rules without our label are left alone."""
        return await self._pushes.alerts(group, rules)

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> None:
        """A mark at unix seconds `at`, on all dashboards that show these tags."""
        await self._pushes.annotate(text, tags, at)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
