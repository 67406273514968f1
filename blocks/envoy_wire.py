"""What Envoy's admin API says, as numbers. Pure.

Source: Envoy's admin interface, `/runtime?format=json` and `/stats?format=json`. `/runtime` lists only
keys that somebody has set: an absent weight is that of Envoy's own configuration, as it is after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canary.errors import ProviderUnavailable
from canary.ports import Arm, Exposure, Release, Verification


@dataclass(frozen=True, slots=True)
class Sides:
    """Which colour is which in a release."""

    stable: str
    candidate: str


def shares(runtime: Any, keys: Mapping[str, str], initial: str, total: int) -> dict[str, float]:
    """Colour → share of users, 0–1, from the runtime document. `keys` is colour → runtime key.

    An absent key counts as in Envoy's configuration: `total` for the colour `initial`, 0 for the other.
    Raises ProviderUnavailable when the document says nothing usable.
    """
    weights = _weights(runtime, keys, {colour: total if colour == initial else 0 for colour in keys})
    # Not raised where it could not be read: Python's error quotes what is no number, and would stay behind ours.
    if weights is None:
        raise ProviderUnavailable("Envoy's runtime cannot be read", _WEIGHTS)
    summed = sum(weights.values())
    if not 0 < summed < float("inf") or min(weights.values()) < 0:
        raise ProviderUnavailable(f"Envoy's weights make no split: {weights}", _WEIGHTS)
    return {colour: weight / summed for colour, weight in weights.items()}


def _weights(runtime: Any, keys: Mapping[str, str], default: Mapping[str, int]) -> dict[str, float] | None:
    try:
        entries = runtime["entries"]
        return {c: float(entries[k]["final_value"] if k in entries else default[c]) for c, k in keys.items()}
    except (KeyError, TypeError, ValueError):
        return None


_WEIGHTS = "look at GET /runtime?format=json on Envoy's admin API; setting an exposure writes both weights"


def requests(stats: Any, clusters: Mapping[str, str]) -> dict[str, float]:
    """Colour → requests sent to its cluster since Envoy started. Absent: Envoy does not know the cluster."""
    counted = _counted(stats)
    if counted is None:
        raise ProviderUnavailable("Envoy's statistics cannot be read", "look at GET /stats?format=json")
    names = {colour: f"cluster.{cluster}.upstream_rq_total" for colour, cluster in clusters.items()}
    return {colour: counted[name] for colour, name in names.items() if name in counted}


def _counted(stats: Any) -> dict[str, float] | None:
    try:
        return {line["name"]: float(line["value"]) for line in stats["stats"] if "name" in line}
    except (KeyError, TypeError, ValueError):
        return None


def sides(versions: Mapping[str, str | None], release: Release) -> Sides | None:
    """Who is who, of two colours; one that runs something else, or does not answer, is told by elimination.

    None: neither the stable version nor the candidate runs on exactly one colour.
    """
    for known in (release.stable, release.candidate):
        running = [colour for colour, version in versions.items() if version == known]
        if len(running) == 1:
            other = next(colour for colour in versions if colour != running[0])
            return Sides(running[0], other) if known == release.stable else Sides(other, running[0])
    return None


def exposure(split: Mapping[str, float], versions: Mapping[str, str | None]) -> Exposure:
    """Shares by identity. Raises ProviderUnavailable when a colour that serves users has no known version."""
    shown: dict[str, float] = {}
    for colour, share in split.items():
        version = versions.get(colour)
        if version is not None:
            shown[version] = shown.get(version, 0.0) + share
        elif share > 0:
            raise ProviderUnavailable(
                f"{colour} serves {share:.2%} of users and does not say which version it runs",
                "check the block's version_path and internal_token, and the application on that colour",
            )
    return Exposure(shown)


def units(share: float, total: int) -> int:
    """The candidate's weight. A share between 0 and 1 never rounds to nobody or to everybody."""
    return min(max(round(share * total), 1), total - 1) if 0 < share < 1 else round(share * total)


def compare(
    release: Release,
    share: float,
    split: Mapping[str, float],
    versions: Mapping[str, str | None],
    counted: Mapping[str, float],
    total: int,
) -> Verification:
    """Whether the split is the share asked for, between the two versions it was asked for."""
    seen = ", ".join(f"{split[c]:.2%} on {c} ({v or 'no version seen'})" for c, v in versions.items())
    who = sides(versions, release)
    if who is None:
        return Verification("cannot tell", None, f"{seen}: which is {release.candidate} is not to be seen")
    asked = {who.stable: release.stable, who.candidate: release.candidate}
    strangers = [c for c, v in versions.items() if v not in (None, asked[c]) and split[c] > 0]
    holds = not strangers and abs(split[who.candidate] - units(share, total) / total) < 0.5 / total
    return Verification("yes" if holds else "no", split[who.candidate], seen, by_arm(counted, who))


def by_arm(counted: Mapping[str, float], who: Sides) -> dict[Arm, float] | None:
    """Requests per arm, or None unless both are counted."""
    if who.candidate not in counted or who.stable not in counted:
        return None
    return {"canary": counted[who.candidate], "baseline": counted[who.stable]}
