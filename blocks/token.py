"""A bearer token for checks."""

from __future__ import annotations

from pydantic import Field

from canary.blocks.base import CanaryBlock, Secret


class ApiToken(CanaryBlock):
    """A token that a plan's checks send with their requests."""

    _block_type_name = "Canary: API token"
    _block_type_slug = "token"
    _description = "A bearer token that checks of a plan send with their requests."

    value: Secret = Field(description="The token, without the word Bearer.")

    def header(self) -> dict[str, str]:
        """The header that carries it. Secret."""
        return {"Authorization": f"Bearer {self.value.get_secret_value()}"}

    async def check_connection(self) -> None:
        """Nothing to reach: whether the token is good shows in the check that sends it."""
