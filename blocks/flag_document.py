"""Flags as an identity: canonical JSON of what they are set to, and how such documents are compared. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from canary.errors import ProviderError
from canary.ports import Release, Verification

Flags = dict[str, bool]


def canonical(flags: Mapping[str, bool]) -> str:
    """The identity of these flags."""
    return json.dumps(flags, sort_keys=True, separators=(",", ":"))


def document(identity: str) -> Flags:
    """Raises ProviderError when the identity is no JSON object of booleans."""
    try:
        flags = json.loads(identity)
    except ValueError:
        flags = None
    if not isinstance(flags, dict) or not all(isinstance(value, bool) for value in flags.values()):
        raise ProviderError(
            f"{identity[:100]!r} is no set of flags",
            'an identity of flags is JSON such as {"phase1_enabled":true}',
        )
    return flags


def of(flags: Flags, names: Flags, ref: str) -> Flags:
    """The values of those flags. Raises ProviderError when one is missing there."""
    missing = [name for name in names if name not in flags]
    if missing:
        raise ProviderError(
            f"{ref}: there is no flag {', '.join(missing)}; there are {', '.join(flags) or 'none'}",
            "create the flag with the value it shall have before the rollout, or correct the plan",
        )
    return {name: flags[name] for name in names}


def compare(release: Release, share: float, now: Flags, ref: str) -> Verification:
    """Whether the flags are as the candidate (share above 0) or stable sets them.

    A mix of old and new is never right, and counts as exposed. Raises ProviderError as `of` and `document` do.
    """
    new = document(release.candidate)
    old, now = of(document(release.stable), new, ref), of(now, new, ref)
    wanted = new if share > 0 else old
    wrong = {name: value for name, value in now.items() if value != wanted[name]}
    observed = 0.0 if now == old and (share <= 0 or wrong) else 1.0
    detail = f"the flags are {canonical(now)}" + (f", wanted were {canonical(wanted)}" if wrong else "")
    return Verification("no" if wrong else "yes", observed, detail)


def wanted(release: Release, share: float, ref: str) -> Flags:
    """What the candidate's flags shall be at that share."""
    candidate = document(release.candidate)
    return candidate if share > 0 else of(document(release.stable), candidate, ref)
