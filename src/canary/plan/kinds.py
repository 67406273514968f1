"""What each kind of block can do: the table that plan checks and adapters are held to.

A block reference is `kind/name`; the kind decides what a plan may ask of it. Nothing here needs a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["target", "metrics", "notifier", "token"]
ShareType = Literal["fraction", "k_of_n", "ladder", "boolean"]


@dataclass(frozen=True, slots=True)
class Kind:
    """The capabilities of one kind of block.

    role:          what a plan may use it for.
    share:         targets: how finely users can be split. fraction: any share; k_of_n: K of N machines;
                   ladder: fixed steps; boolean: everybody or nobody.
    precondition:  targets: a write can be made conditional, so that a stale conductor has no effect.
    observes:      targets: the platform tells what it shows now.
    counts_routed: targets: the platform counts the requests that it sent to each arm.
    settles:       targets: seconds that a raise may take, asked again and again, before it counts as refused.
    artifact:      targets: the plan's `artifact` template names the candidate; else the version itself does.
    dashboards:    metrics: dashboards and alert rules can be put there, too.
    pages:         notifiers: can wake somebody.
    confirms:      notifiers: tells whether the message was delivered.
    """

    role: Role
    share: ShareType | None = None
    precondition: bool = False
    observes: bool = False
    counts_routed: bool = False
    settles: float = 0.0
    artifact: bool = False
    dashboards: bool = False
    pages: bool = False
    confirms: bool = False


KINDS: dict[str, Kind] = {
    "envoy": Kind("target", "fraction", observes=True, counts_routed=True),
    "flags": Kind("target", "boolean", observes=True),
    "vercel": Kind("target", "ladder", observes=True, artifact=True),
    # A fleet goes machine by machine: 20 of them that start in 10 s take 73 s.
    "fly": Kind("target", "k_of_n", precondition=True, observes=True, settles=900.0, artifact=True),
    "global-config": Kind("target", "boolean", observes=True),
    "scraper": Kind("metrics"),
    "prometheus": Kind("metrics"),
    "grafana": Kind("metrics", dashboards=True),
    "terminal": Kind("notifier", pages=True),
    "slack": Kind("notifier", pages=True, confirms=True),
    "token": Kind("token"),
}


def kind_of(ref: str) -> str:
    """The kind in a block reference: "envoy" of "envoy/docflow-api"."""
    return ref.partition("/")[0]


def kinds_of(role: Role) -> tuple[str, ...]:
    """The names of all kinds with that role, in the table's order."""
    return tuple(name for name, kind in KINDS.items() if kind.role == role)
