"""What a fleet of Fly machines shows, and which of them to change next. No I/O.

Fly's proxy has no weights: a share is K of N machines, as even over the regions as whole machines allow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from math import floor
from typing import Literal

from canary.blocks.fly_image import Image
from canary.blocks.fly_wire import MARK, Machine
from canary.ports import Verification

Side = Literal["candidate", "stable", "other"]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines of one process group that users reach, and the extra one that they do not."""

    members: tuple[Machine, ...]
    extra: Machine | None = None

    def with_(self, changed: Machine) -> Fleet:
        """The same fleet after that member was looked at again."""
        return replace(self, members=tuple(changed if m.id == changed.id else m for m in self.members))

    def regions(self) -> Iterator[tuple[Machine, ...]]:
        """The members region by region."""
        for _, members in groupby(sorted(self.members, key=lambda m: (m.region, m.id)), key=lambda m: m.region):
            yield tuple(members)


def fleet_of(machines: Iterable[Machine], group: str) -> Fleet:
    """Machines that are gone, of another process group, or of Fly's own (release commands, consoles) are left out."""
    there = [machine for machine in machines if not machine.gone]
    extra = next((machine for machine in there if MARK in machine.metadata), None)
    return Fleet(tuple(m for m in there if MARK not in m.metadata and m.group == group), extra)


@dataclass(frozen=True, slots=True)
class Images:
    """The two releases. A machine that runs neither is somebody else's: it is never changed."""

    candidate: Image
    stable: Image | None

    def side(self, machine: Machine) -> Side:
        """By digest where both name one: a tag may have been moved since."""
        if self.stable and machine.image.shows(self.stable):
            return "stable"
        return "candidate" if machine.image.shows(self.candidate) else "other"

    def pinned(self, fleet: Fleet) -> Images:
        """The candidate with the digest that a machine already runs it by, so that all get the very same image."""
        there = [m for m in (fleet.extra, *fleet.members) if m and self.side(m) == "candidate"]
        return replace(self, candidate=there[0].image) if there else self


def count(share: float, machines: int) -> int:
    """How many machines that share is: at least one above 0, never all below 1 where there are two or more."""
    if share <= 0 or share >= 1:
        return machines if share >= 1 else 0
    return min(max(1, floor(share * machines + 0.5)), max(1, machines - 1))


def chosen(fleet: Fleet, images: Images, share: float) -> frozenset[str]:
    """Ids of the machines that shall run the candidate.

    Each region's i-th machine ranks by (i + ½) / its machines: whatever the number, it is spread as evenly as whole
    machines allow, and who was chosen for a lower share is chosen for a higher one. In a region those come first
    that run the candidate already, then those that are awake.
    """
    ranked: list[tuple[float, int, str, str]] = []
    for region in fleet.regions():
        ours = [m for m in region if images.side(m) != "other"]
        ours.sort(key=lambda m: (images.side(m) != "candidate", m.asleep, m.id))
        ranked += [((i + 0.5) / len(ours), -len(ours), m.region, m.id) for i, m in enumerate(ours)]
    return frozenset(rank[-1] for rank in sorted(ranked)[: count(share, len(ranked))])


@dataclass(frozen=True, slots=True)
class Move:
    """One machine, and the image it shall get."""

    machine: Machine
    to: Image


def moves(fleet: Fleet, images: Images, share: float, coming: Collection[str]) -> list[Move]:
    """What may be changed now. `coming`: ids of machines that were changed and are not back yet.

    Up: machine by machine within a region, each only while all that run the candidate there serve; those that sleep
    come last. Down: at once what serves nobody; of what serves machine by machine while it is more than half of its
    region, then so many that half of the region is not away.
    """
    wanted = chosen(fleet, images, share)
    found: list[Move] = []
    for region in fleet.regions():
        on = [m for m in region if images.side(m) == "candidate"]
        up = [m for m in region if m.id in wanted and images.side(m) == "stable"]
        found += [Move(m, images.candidate) for m in _up(on, up)]
        if images.stable:
            down = [m for m in on if m.id not in wanted]
            away = sum(m.id in coming for m in region)
            most = 1 if 2 * sum(m.serving for m in on) > len(region) else max(1, len(region) // 2)
            found += [Move(m, images.stable) for m in _down(down, max(0, most - away))]
    return found


def _up(on: list[Machine], up: list[Machine]) -> list[Machine]:
    awake = [m for m in up if not m.asleep]
    if not awake:
        return up
    return awake[:1] if all(m.serving for m in on) else []


def _down(down: list[Machine], most: int) -> list[Machine]:
    return [m for m in down if not m.serving] + [m for m in down if m.serving][:most]


def shares(fleet: Fleet) -> Mapping[str, float]:
    """Image → share of the machines that serve; of all machines where none does. The extra machine's image has 0."""
    base = _base(fleet)
    found = {str(fleet.extra.image): 0.0} if fleet.extra else {}
    for machine in base:
        found[str(machine.image)] = found.get(str(machine.image), 0.0) + 1 / len(base)
    return {image: min(1.0, round(share, 9)) for image, share in found.items()}


def compare(fleet: Fleet, images: Images, share: float) -> Verification:
    """Yes when exactly the chosen machines run the candidate and serve, and every other runs stable."""
    base = _base(fleet)
    observed = sum(images.side(m) == "candidate" for m in base) / max(1, len(base))
    on = {m.id for m in fleet.members if images.side(m) == "candidate"}
    wanted = chosen(fleet, images, share)
    told = f"{len(on)} of {len(fleet.members)} machines run {images.candidate.short}"
    wrong = [f"wanted are {len(wanted)}"] if on != wanted else []
    wrong += [f"{m.where} {why}" for m in fleet.members if (why := _off(m, images.side(m), share))]
    return Verification("no" if wrong else "yes", observed, "; ".join([told, *wrong]))


def _off(machine: Machine, side: Side, share: float) -> str:
    """What is not right about the machine, or "". A machine asleep is right where nothing is left to tell apart."""
    if side == "other":
        return f"runs {machine.image.short}, which is neither of the two releases: it is left alone"
    if side == "candidate" and not (machine.serving or (machine.asleep and share >= 1)):
        return f"does not serve: it is {machine.shown}"
    return f"is still {machine.state}" if side == "stable" and machine.changing else ""


def _base(fleet: Fleet) -> tuple[Machine, ...]:
    return tuple(m for m in fleet.members if m.serving) or fleet.members
