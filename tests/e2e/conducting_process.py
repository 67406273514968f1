"""A conductor in a process of its own, without Prefect: conducting_process.py HOME PLAN < block fields as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from canary.blocks.opener import CLOCK, OPENER
from canary.journal.shelf import FolderShelf
from canary.journal.spool import Spool
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.plan.load import load_plan
from canary.ports import StoredPlan
from canary.rollout.conducting import Start, Stores, begin, conducting, pass_preflight, taking


async def conduct(home: Path, plan: Path, fields: Mapping[str, Mapping[str, Any]]) -> None:
    """The rollout r1, phase after phase."""
    loaded = load_plan(plan)
    journal = open_journal(home=home, env={})
    vault = open_vault(journal, home, {})
    stores = Stores(journal, vault, Spool(home / "spool"), CLOCK, FolderShelf(home / "rollouts"))

    async def load(ref: str) -> Mapping[str, Any]:
        return fields[ref]

    await journal.store_plan(StoredPlan(loaded.hash, loaded.plan.name, loaded.plan.service, loaded.body))
    await begin(stores, Start("r1", loaded.hash, "2.1.0", "test", "a test"))
    async with taking(stores, "r1") as seat, conducting(seat, await pass_preflight(seat, load, OPENER)) as conductor:
        for phase in conductor.plan.phases:
            await conductor.await_approval(phase.name)
            await conductor.run_phase(phase.name)


if __name__ == "__main__":
    asyncio.run(conduct(Path(sys.argv[1]), Path(sys.argv[2]), json.load(sys.stdin)))
