"""What a vault seals: the rollout's name with the fields of its blocks, as one JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from canary.errors import VaultError

Fields = Mapping[str, Mapping[str, Any]]


def pack(rollout: str, fields: Fields) -> bytes:
    """The text to seal. Raises VaultError, naming the block and no value, for fields that are not JSON."""
    for ref, values in fields.items():
        try:
            json.dumps(dict(values), allow_nan=False)
        except (TypeError, ValueError):
            raise VaultError(
                f"the fields of block {ref} cannot be sealed for rollout {rollout}: they are not JSON",
                "give them as numbers, strings, booleans, lists and mappings",
            ) from None
    return json.dumps([rollout, {ref: dict(values) for ref, values in fields.items()}]).encode()


def unpack(rollout: str, text: bytes) -> Fields:
    """The fields. Raises VaultError for a text that was sealed for another rollout and moved here."""
    owner, fields = json.loads(text)
    if owner != rollout:
        raise wrong_key(rollout)
    unpacked: Fields = fields
    return unpacked


def missing(rollout: str) -> VaultError:
    """The error of a rollout that has nothing sealed."""
    return VaultError(
        f"no credentials are sealed for rollout {rollout}",
        "they are sealed by preflight and dropped when the rollback window closes: start a new rollout",
    )


def wrong_key(rollout: str) -> VaultError:
    """The error of a sealed text that does not open."""
    return VaultError(
        f"the credentials of rollout {rollout} cannot be opened with the keys given",
        "check CANARY_VAULT_KEY: it must still list the key that they were sealed with",
    )
