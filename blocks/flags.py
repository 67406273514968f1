"""A service of boolean flags that everybody reads: on or off for all."""

from __future__ import annotations

from typing import cast

from pydantic import Field, PrivateAttr

from canary.blocks.base import CanaryBlock, Secret, Url
from canary.blocks.flag_document import Flags, canonical, compare, document, of, wanted
from canary.blocks.http import DEADLINE, Credential, Http, bearer, within
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import Access, Exposure, Release, Verification


class FlagService(CanaryBlock):
    """`GET {url}/flags` answers all flags as one JSON object; `PATCH {url}/flags` changes those it is given.

    The candidate is canonical JSON of the flags it sets; the stable identity is the whole document as it was
    observed. Any share above 0 is "on": a flag knows no fractions.
    """

    _block_type_name = "Canary: flag service"
    _block_type_slug = "flags"
    _description = "Boolean flags behind GET and PATCH /flags, switched by a rollout."

    url: Url = Field(description="Base address of the flag service; /flags is added.")
    token: Secret = Field(description="Bearer token that may read and change flags.")

    _http: Http = PrivateAttr()

    def open(self) -> None:
        """Make the client."""
        self._http = self._http_client()

    async def check_connection(self) -> None:
        """Raises CredentialError or ProviderUnavailable."""
        await self._read()

    async def prepare(self, release: Release) -> Access:
        """Nothing to start, an empty Access. Raises ProviderError for a flag the service does not have."""
        of(await self._read(), document(release.candidate), self.ref)
        return Access("", {})

    async def observe(self) -> Exposure:
        """The whole document as one identity, which serves everybody."""
        return Exposure({canonical(await self._read()): 1.0})

    async def expose(self, release: Release, share: float, epoch: int) -> None:
        """One PATCH: the candidate's values, or for share 0 the stable document's values of the same flags.

        The service has no precondition: nothing checks `epoch` here.
        """
        flags = wanted(release, share, self.ref)
        await self._http.text("PATCH", f"{self.url}/flags", as_=self._credential(), json=flags)

    async def verify(self, release: Release, share: float) -> Verification:
        """Compares the candidate's flags. A mix of old and new is never right, and counts as exposed."""
        try:
            return compare(release, share, await self._read(), self.ref)
        except (ProviderError, CredentialError) as error:
            return Verification("cannot tell", None, error.what)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _read(self) -> Flags:
        async with within(DEADLINE, f"{self.ref}: read flags"):
            said = await self._http.ask("GET", f"{self.url}/flags", as_=self._credential())
        flags = isinstance(said, dict) and all(isinstance(value, bool) for value in said.values())
        # What it answers is journaled: names that repeat the token are none of flags.
        if not flags or self._http.hider.holds(" ".join(said)):
            raise ProviderUnavailable(
                f"{self.ref}: GET {self.url}/flags answered no JSON object of booleans",
                "check the block's url: /flags is added to it",
            )
        return cast(Flags, said)

    def _credential(self) -> Credential:
        return bearer("token", self.token.get_secret_value())
