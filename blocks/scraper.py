"""Metrics read straight from the application's instances: the source that needs no server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

from canary.blocks import exposition, raw
from canary.blocks.base import CanaryBlock, MaybeSecret, Url
from canary.blocks.history import History
from canary.blocks.http import DEADLINE, OPEN, Credential, Http, NothingListens, bearer, within
from canary.errors import MeasurementFailed, ProviderError
from canary.judge.series import increments
from canary.plan.model import Arms, Signal
from canary.ports import Scrape

_SCRAPE_SECONDS = 2.0


class MetricsScraper(CanaryBlock):
    """Scrapes all instances each time it is read, and keeps the last five minutes of raw samples in memory.

    An instance whose connection is refused is an idle colour: absent. One that answers anything but metrics
    is a failed measurement. Series get the label `instance` (host:port of the URL), as in Prometheus.
    """

    _block_type_name = "Canary: metrics scraper"
    _block_type_slug = "scraper"
    _description = "Reads metrics in Prometheus text format directly from the application's instances."

    urls: list[Url] = Field(min_length=1, description="The /metrics address of every instance, of both versions.")
    bearer: MaybeSecret = Field(default=None, description="Bearer token, when the instances ask for one.")

    _http: Http = PrivateAttr()
    _history: History = PrivateAttr(default_factory=History)
    _last: float = PrivateAttr(default=float("-inf"))
    _one_at_a_time: asyncio.Lock = PrivateAttr(default_factory=asyncio.Lock)

    def open(self) -> None:
        """Make the client."""
        self._http = self._http_client()

    async def check_connection(self) -> None:
        """Raises CredentialError (the token is refused) or MeasurementFailed (nothing to read)."""
        try:
            await self._scrape(frozenset())
        except ProviderError as error:
            raise MeasurementFailed(error.what, error.fix) from None

    async def read(self, signals: Mapping[str, Signal], arms: Arms, since: float, until: float) -> Sequence[Scrape]:
        """One scrape of all instances now, and the increments since < at ≤ until from what is remembered.

        The scrape counts as taken at `until` when that is less than the two seconds of a scrape ago.
        """
        names = raw.names(signals)
        with raw.measuring():
            async with self._one_at_a_time:
                await self._add_scrape(names, raw.gauges(signals), until)
        return increments(self._history.series(names, since), signals, arms, since, until)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _add_scrape(self, names: frozenset[str], gauges: frozenset[str], until: float) -> None:
        now = self._clock.now()
        at = until if until <= now <= until + _SCRAPE_SECONDS else now
        if at <= self._last:
            return
        for url, read in (await self._scrape(names)).items():
            self._history.add(urlsplit(url).netloc, at, names, read, gauges)
        self._last = at

    async def _scrape(self, names: frozenset[str]) -> dict[str, list[exposition.Read]]:
        """URL → samples, of the instances that are there."""
        async with within(DEADLINE, f"{self.ref}: scrape") as group:
            asked = {url: group.create_task(self._instance(url, names)) for url in self.urls}
        there = {url: read for url, task in asked.items() if (read := task.result()) is not None}
        if not there:
            raise MeasurementFailed(
                f"{self.ref}: every instance refuses the connection: {', '.join(self.urls)}",
                "start the application, or correct the block's urls",
            )
        return there

    async def _instance(self, url: str, names: frozenset[str]) -> list[exposition.Read] | None:
        """What one instance shows; None when nothing listens there."""
        as_ = bearer("bearer", self.bearer.get_secret_value()) if self.bearer else OPEN
        as_ = Credential(as_.of, {**as_.headers, "accept": "text/plain;version=0.0.4"})
        try:
            text = await self._http.text("GET", url, as_=as_, deadline=_SCRAPE_SECONDS)
            return exposition.samples(text, names)
        except NothingListens:
            return None
        except ValueError as error:
            why = self._http.hide(str(error))
        # Outside of the handler: the parser's error quotes the answer, and would be the context of this one.
        raise MeasurementFailed(
            f"{self.ref}: {url} answers no metrics: {why}", "the address must answer in Prometheus text format"
        )
