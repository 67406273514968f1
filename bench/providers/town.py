"""Fly, Vercel and Global Config with a rollout's blocks: the shape of what is rolled back and looked at."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.providers.virtual import LoopClock
from bench.providers.wire import HOST, Client, Limit, Road, through
from canary.blocks.registry import open_block
from canary.rollout.events import Identities
from canary.testing.fly import CANDIDATE, STABLE, FlyServer
from canary.testing.fly_machines import Fates
from canary.testing.global_config import GlobalConfigs
from canary.testing.provider import Provider
from canary.testing.vercel import Vercel

REGIONS = {"ams": 8, "fra": 6, "iad": 6}
REFS = {"api": "fly/docflow-api", "web": "vercel/docflow", "flags": "global-config/docflow"}
"""In the plan's order: what others call comes first."""
ITEM_READS = ("GET", "/items", 20, 60.0)
"""Reads of a Global Config's items by the API: 20 a minute. Source: Vercel's documentation."""


@dataclass(frozen=True)
class Town:
    """Three platforms, the targets that reach them, and the release that goes from one to the other."""

    fly: FlyServer
    targets: Mapping[str, Any]
    clients: Mapping[str, Client]
    release: Mapping[str, Identities]

    def at_stable(self) -> bool:
        return len(self.fly.runs(STABLE)) == sum(REGIONS.values())


async def town(seed: int, start_to_health: float, latency: tuple[float, float]) -> Town:
    """Machines are `started` after three fifths of that time. Each platform has dice of its own, so that what one
    target meets does not depend on which others are moved beside it."""
    clock = LoopClock()
    fly = FlyServer(clock, fates=Fates(0.6 * start_to_health, 0.4 * start_to_health))
    vercel, configs = Vercel(), GlobalConfigs()
    # Domains are shown as being moved for four looks.
    vercel.move_looks = 4
    servers: dict[str, Provider] = {"api": fly, "web": vercel, "flags": configs}
    targets, clients = {}, {}
    for name, server in servers.items():
        server.url = HOST
        targets[name] = open_block(REFS[name], server.fields(), clock)  # type: ignore[attr-defined]
        limits = (Limit(*ITEM_READS),) if name == "flags" else ()
        road = Road(random.Random(f"{seed} {name}"), *latency, limits=limits)
        clients[name] = through(targets[name], Client(server, road))
    for region, machines in REGIONS.items():
        for _ in range(machines):
            fly.add(region)
    await clock.sleep(60.0)
    release = {
        "api": Identities(candidate=CANDIDATE, stable=f"{STABLE}@{fly.images[STABLE]}"),
        "web": Identities(candidate="dpl_candidate", stable="dpl_stable"),
        "flags": Identities(
            candidate='{"phase1_enabled":true}', stable='{"NEXT_PUBLIC_ENABLE_FORECAST":true,"phase1_enabled":false}'
        ),
    }
    return Town(fly, targets, clients, release)
