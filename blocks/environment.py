"""What of this process's environment other programs may see."""

from __future__ import annotations

import re
from collections.abc import Mapping

_OWN = ("CANARY_", "PREFECT_")
_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@")
"""A URL with a password in it."""


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """All but our own settings, Prefect's, and what by its name or value looks like a secret."""
    return {
        name: value
        for name, value in environment.items()
        if not (name.upper().startswith(_OWN) or _SECRET_NAME.search(name) or _SECRET_VALUE.search(value))
    }
