"""Vercel's Global Config (Edge Config until 2026): boolean items that every deployment reads, on or off for all.

Source: Vercel's REST API, `/v1/global-config/{id}` and `/items`. There is no precondition; a digest of the whole
document shows whether anything changed. Items may be read about 20 times a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from canary.blocks.base import CanaryBlock, Secret, Url
from canary.blocks.flag_document import Flags, canonical, compare, document, of, wanted
from canary.blocks.http import DEADLINE, Http, bearer, within
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Access, Exposure, Release, Verification

READ_EVERY = 3.0
"""Seconds between two reads of the items: 20 a minute."""


@dataclass(frozen=True, slots=True)
class _Document:
    digest: str
    flags: Flags


class GlobalConfig(CanaryBlock):
    """The candidate is canonical JSON of the items it sets; stable is all boolean items as they were observed.

    Any share above 0 is "on". Items are read only when the digest has changed, and then no faster than allowed.
    """

    _block_type_name = "Canary: Vercel Global Config"
    _block_type_slug = "global-config"
    _description = "Boolean items of a Vercel Global Config (formerly Edge Config), switched by a rollout."

    token: Secret = Field(description="Access token of an account or team that may change the Global Config.")
    config_id: Annotated[str, Field(pattern=r"^ecfg_\w+$")] = Field(description="Its id, ecfg_….")
    team_id: Annotated[str, Field(pattern=r"^(team_\w+)?$")] = Field(
        default="", description="The team's id, team_…; empty for one of a personal account."
    )
    api: Literal["global-config", "edge-config"] = Field(
        default="global-config", description="The path of the API: global-config, or edge-config as it was before."
    )
    url: Url = Field(default="https://api.vercel.com", description="Where Vercel's API answers.")

    _http: Http = PrivateAttr()
    _last: _Document | None = PrivateAttr(default=None)
    _read_at: float = PrivateAttr(default=float("-inf"))

    def open(self) -> None:
        """Make the client."""
        self._http = self._http_client()

    async def check_connection(self) -> None:
        """Raises CredentialError or ProviderUnavailable."""
        async with within(DEADLINE, f"{self.ref}: check the connection"):
            answer = await self._http.send("GET", self._at(), **self._as())
        if answer.status == 404:
            where = f"in team {self.team_id}" if self.team_id else "for this token; a team's needs team_id"
            raise CredentialError(self.ref, "config_id", f"there is no {self.api} {self.config_id} {where}")
        self._digest_of(self._http.document(answer, f"GET {self._at()}", "token"))

    async def prepare(self, release: Release) -> Access:
        """Nothing to start, an empty Access. Raises ProviderError for an item that is not there, or no boolean."""
        of(await self._read(), document(release.candidate), self.ref)
        return Access("", {})

    async def observe(self) -> Exposure:
        """The boolean items as one identity, which serves everybody."""
        return Exposure({canonical(await self._read()): 1.0})

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """One request: the candidate's values, or for share 0 those that stable had. Nothing checks `epoch`."""
        flags = wanted(release, share, self.ref)
        items = [{"operation": "upsert", "key": key, "value": value} for key, value in flags.items()]
        async with within(DEADLINE, f"{self.ref}: set items"):
            await self._http.ask("PATCH", self._at("/items"), json={"items": items}, **self._as())

    async def verify(self, release: Release, share: float) -> Verification:
        """Reads back. A mix of old and new is never right, and counts as exposed."""
        try:
            return compare(release, share, await self._read(), self.ref)
        except (ProviderError, CredentialError) as error:
            return Verification("cannot tell", None, error.what)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _read(self) -> Flags:
        """The boolean items: what was read last while the digest is the same, else read anew between two digests."""
        async with within(DEADLINE, f"{self.ref}: read items"):
            before = await self._digest()
            if self._last and self._last.digest == before:
                return self._last.flags
            flags = await self._items()
            # Changed meanwhile: true of some moment, but not to be taken for that digest.
            self._last = _Document(before, flags) if await self._digest() == before else None
            return flags

    async def _items(self) -> Flags:
        waits = self._read_at + READ_EVERY - self._clock.monotonic()
        if waits > 0:
            await self._clock.sleep(waits)
        self._read_at = self._clock.monotonic()
        said = await self._http.ask("GET", self._at("/items"), **self._as())
        try:
            flags = {str(item["key"]): item["value"] for item in said if isinstance(item["value"], bool)}
        except (TypeError, KeyError):
            raise self._odd("list of items") from None
        # What it answers is journaled: keys that repeat the token are none.
        self._http.no_echo(f"GET {self._at('/items')}", flags)
        return flags

    async def _digest(self) -> str:
        return self._digest_of(await self._http.ask("GET", self._at(), **self._as()))

    def _digest_of(self, said: Any) -> str:
        digest = said.get("digest") if isinstance(said, dict) else None
        if not isinstance(digest, str) or not digest:
            raise self._odd("digest")
        return digest

    def _odd(self, what: str) -> ProviderUnavailable:
        return ProviderUnavailable(f"{self.ref}: GET {self._at()} answered no {what}", "check the block's url and api")

    def _at(self, path: str = "") -> str:
        return f"{self.url}/v1/{self.api}/{self.config_id}{path}"

    def _as(self) -> dict[str, Any]:
        scope = {"params": {"teamId": self.team_id}} if self.team_id else {}
        return {"as_": bearer("token", self.token.get_secret_value()), **scope}
