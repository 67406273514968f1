"""All looks of the doctor, in the order in which they are read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from canary.cli.doctor import plans, routes
from canary.cli.doctor.finding import Finding, missing
from canary.cli.doctor.orchestration import Orchestration, orchestration
from canary.cli.doctor.stores import program, stores
from canary.errors import BadUsage
from canary.journal.store import SqlJournal, open_journal
from canary.settings import Settings


async def examine(notify: bool) -> Sequence[Finding]:
    """What is there and what is missing; within about half a minute, whatever does not answer.

    notify: send a test message and a test page by every route. Raises BadUsage when no home can be found.
    """
    settings = Settings.from_env(os.environ)
    try:
        journal = open_journal(settings.journal_url)
    except BadUsage as error:
        told = await orchestration()
        return [program(), missing("journal", error), *told.findings]
    try:
        kept, told = await asyncio.gather(stores(journal, settings, os.environ), orchestration())
        return [program(), *kept, *told.findings, *await _deployed(journal, told, notify)]
    finally:
        await journal.close()


async def _deployed(journal: SqlJournal, told: Orchestration, notify: bool) -> list[Finding]:
    findings, found = await plans.deployed_plans(journal, told.plans)
    blocks, tried = await asyncio.gather(plans.blocks(found), routes.tried(found if notify else ()))
    return [*findings, *blocks, *tried]
