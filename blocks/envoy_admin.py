"""The two things an Envoy route is asked: its admin API, and its colours through the internal route."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.blocks import envoy_wire as wire
from canary.blocks.http import Credential, Http
from canary.errors import ProviderError, ProviderUnavailable

_ASK_SECONDS = 1.0
"""What a colour gets to answer: a candidate that hangs must not hold up the verdict on it."""
_AGAIN_SECONDS = 3.0
"""What one gets that serves users and was never heard: with a late answer nothing could begin."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Envoy's admin API: weights and counters."""

    http: Http
    url: str
    as_: Credential
    prefix: str
    clusters: Mapping[str, str]
    initial: str
    total: int

    async def shares(self) -> dict[str, float]:
        """Colour → share of users, as Envoy applies it now."""
        asked = {"format": "json"}
        document = await self.http.ask("GET", f"{self.url}/runtime", as_=self.as_, params=asked)
        return wire.shares(document, self._keys(), self.initial, self.total)

    async def requests(self) -> dict[str, float]:
        """Colour → requests sent to its cluster since Envoy started."""
        names = "|".join(re.escape(cluster) for cluster in self.clusters.values())
        asked = {"format": "json", "filter": rf"^cluster\.({names})\.upstream_rq_total$"}
        stats = await self.http.ask("GET", f"{self.url}/stats", as_=self.as_, params=asked)
        return wire.requests(stats, self.clusters)

    async def requests_if_told(self) -> dict[str, float]:
        """As `requests`; empty when they cannot be had. Weights count without them."""
        try:
            return await self.requests()
        except ProviderError:
            return {}

    async def write(self, who: wire.Sides, share: float) -> None:
        """Both weights in one request: Envoy never sees a half of it."""
        keys, units = self._keys(), wire.units(share, self.total)
        weights = {keys[who.stable]: self.total - units, keys[who.candidate]: units}
        await self.http.text("POST", f"{self.url}/runtime_modify", as_=self.as_, params=weights)

    def _keys(self) -> dict[str, str]:
        return {colour: f"{self.prefix}.{cluster}" for colour, cluster in self.clusters.items()}


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours as internal users reach them. `seen` is what each last said to run."""

    http: Http
    router_url: str
    token: str = field(repr=False)
    names: tuple[str, ...]
    version_path: str
    health_path: str
    seen: dict[str, str] = field(default_factory=dict)

    def headers(self, colour: str) -> dict[str, str]:
        """The headers of the internal route. Secret."""
        return {"x-canary-internal": self.token, "x-canary-cluster": colour}

    async def versions(self) -> dict[str, str | None]:
        """Colour → the version it says now, or None when it gives no usable answer in time."""
        answers = await asyncio.gather(*(self.version(colour) for colour in self.names))
        return dict(zip(self.names, answers, strict=True))

    def remembered(self, now: Mapping[str, str | None]) -> dict[str, str | None]:
        """What each colour says now or, where it is silent, said last."""
        return {colour: version or self.seen.get(colour) for colour, version in now.items()}

    async def named(self, now: Mapping[str, str | None], split: Mapping[str, float]) -> dict[str, str | None]:
        """As `remembered`; whoever serves users and was never heard is asked once more, with more time."""
        known = self.remembered(now)
        silent = [colour for colour, share in split.items() if share > 0 and not known[colour]]
        asked = await asyncio.gather(*(self.version(colour, _AGAIN_SECONDS) for colour in silent))
        return {**known, **dict(zip(silent, asked, strict=True))}

    async def version(self, colour: str, within: float = _ASK_SECONDS) -> str | None:
        """The version, or None when the colour gives no usable answer within so many seconds."""
        status, body = await self._get(colour, self.version_path, within)
        try:
            version = json.loads(body)["version"] if status == 200 else None
        except (ValueError, TypeError, KeyError):
            return None
        # An application that repeats what it was sent says no version: one would be journaled.
        if not isinstance(version, str) or not version or self.http.hider.holds(version):
            return None
        self.seen[colour] = version
        return version

    async def not_ready(self, colour: str, version: str) -> str:
        """Why the colour does not serve that version yet, or "" when it does and is healthy."""
        said, (status, _) = await asyncio.gather(self.version(colour), self._get(colour, self.health_path))
        if said != version:
            return f"{self.version_path} said {said}" if said else f"{self.version_path} gave no version"
        return "" if status == 200 else f"{self.health_path} answered {status or 'nothing'}"

    async def _get(self, colour: str, path: str, within: float = _ASK_SECONDS) -> tuple[int, str]:
        """Status and body; status 0 when nothing usable came in time."""
        as_ = Credential("internal_token", self.headers(colour))
        try:
            answer = await self.http.send("GET", f"{self.router_url}{path}", as_=as_, deadline=within)
        except ProviderUnavailable:
            return 0, ""
        return answer.status, answer.text()
