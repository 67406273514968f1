"""The demo on the platforms of a real team: what it says of them, and how its browser finds the deployments."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from canary.rollout import events as e
from canary.sandbox.platforms.wire import Platform, Platforms

OVERLAY = "providers.yaml"
OPENING = (
    "api on Fly (10 machines in 2 regions), web on Vercel (a rolling release), flags in a Global Config, measured "
    "through Grafana, told in Slack: local servers that speak the vendors' APIs; no vendor is asked"
)
DOCUMENT = "platforms.json"
_NAMES = {"api": "Fly", "web": "Vercel", "flags": "Global Config"}
_MOST = 6
"""Kinds of requests that are shown of each."""


def standing(event: e.Event | None) -> str | None:
    """What each platform shows once users were moved, in its own words; None for any other event."""
    # Where one does not show it yet, the event's own sentence says so.
    if not isinstance(event, e.ExposureObserved) or not event.verified:
        return None
    return "; ".join(f"{_NAMES.get(name, name)}: {shown.detail}" for name, shown in event.targets.items())


def taken(platforms: Mapping[str, Platform]) -> Iterator[str]:
    """How often each platform was asked what, line by line."""
    for name, each in platforms.items():
        total = sum(each.requests.values())
        yield f"{name} took {total:,} requests" + (" (the most frequent):" if len(each.requests) > _MOST else ":")
        yield from (f"  {count:6,}  {what}" for what, count in [*each.requests.items()][:_MOST])


def document(platforms: Mapping[str, Platform]) -> str:
    """All of it, as JSON."""
    return json.dumps({name: each.model_dump() for name, each in platforms.items()}, indent=2) + "\n"


def lead_browser(home: Path, platforms: Platforms) -> None:
    """From now on a Chromium that this process's children start finds the deployments on this machine.

    By a program of that name before all others in their PATH, which hands over to the real one. Nothing where there is
    none.
    """
    from canary.blocks.browser import NAMES

    real = next((path for name in NAMES if (path := shutil.which(name))), None)
    if real is None:
        return
    folder = home / "sandbox" / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / NAMES[0]
    program.write_text(f'#!/bin/sh\nexec {shlex.join([real, *platforms.browser])} "$@"\n')
    program.chmod(0o700)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
