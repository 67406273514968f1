"""How a rule is judged: what stands beside it in the plan, such as `{http_errors: "< 1%", cluster: 8}`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from canary.plan.units import share

Profile = Literal["steady", "swift", "independent", "literal"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
HOW: dict[str, dict[str, Any]] = {
    "weight": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 100,
        "description": "This rule's part of what is risked of a false rollback, against the others' (1).",
    },
    "margin": {
        "type": "string",
        "examples": ["25%"],
        "description": "Rolls back only when shown to be worse than the rule says by so much more.",
    },
    "cluster": {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "description": "Bad events that one cause may bring, such as a request and its retries (4).",
    },
    "profile": {
        "enum": list(PROFILES),
        "description": "steady (bursts on a pod are expected), swift (each request is routed at random by itself), "
        "independent (no retries either), literal (the rule as written, over everything counted).",
    },
}


@dataclass(frozen=True, slots=True)
class How:
    """weight: part of α, against other rules' weights. margin: 0.25 for 25 %. cluster: bad events of one cause."""

    weight: float = 1.0
    margin: float = 0.0
    cluster: int = 4
    profile: Profile = "steady"


def how_of(beside: Mapping[str, Any], known: Sequence[str]) -> How:
    """What stands beside a rule for which only `known` has a meaning. Raises ValueError."""
    for key in HOW:
        if key in beside and key not in known:
            raise ValueError(f"{key} means nothing for this rule; {_valid(known)}")
    given: dict[str, Any] = {key: _READ[key](beside[key]) for key in known if key in beside}
    how = How(**given)
    if "cluster" in known and how.profile not in ("steady", "literal"):
        raise ValueError(f"profile {how.profile} compares with the baseline; a limit is judged by cluster, or literal")
    if how.profile == "literal" and given.keys() - {"profile"}:
        raise ValueError("profile literal takes the rule at its word: leave weight, margin and cluster out")
    return how


def _valid(known: Sequence[str]) -> str:
    return (
        f"valid keys beside it: on, {', '.join(known)}"
        if known
        else "it is taken literally, and only on may stand beside it"
    )


def _weight(value: object) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 < number <= 100:
        raise ValueError(f"weight: {value!r} must be a number above 0 and at most 100, such as 2")
    return float(number)


def _cluster(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise ValueError(f"cluster: {value!r} must be a whole number from 1 to 1000, such as 4")
    return value


def _margin(value: object) -> float:
    try:
        return share(value)
    except ValueError:
        raise ValueError(f"margin: {value!r} must be a text such as 25%") from None


def _profile(value: object) -> Profile:
    for profile in PROFILES:
        if value == profile:
            return profile
    raise ValueError(f"profile: {value!r} is none; valid values: {', '.join(PROFILES)}")


_READ = {"weight": _weight, "margin": _margin, "cluster": _cluster, "profile": _profile}
