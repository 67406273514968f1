"""The doctor's look at what is deployed: each plan in the journal, and each block that one of them names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from canary.blocks.registry import Block, load_fields, open_block
from canary.blocks.token import ApiToken
from canary.cli.doctor.finding import Finding, looked, missing
from canary.cli.doctor.orchestration import Deployed
from canary.errors import CanaryError
from canary.plan.kinds import KINDS, kind_of
from canary.plan.load import parse_plan
from canary.plan.model import Plan
from canary.ports import Dashboards, Journal, Notifier
from canary.rollout.waiting import PROVIDER_TIMEOUT

WITHIN = 12.0
"""Seconds for one block: five to load it from Prefect, six for its platform, as in preflight."""
SILENT = ("terminal", "token")
"""Kinds without a platform to ask."""


async def deployed_plans(journal: Journal, deployed: Sequence[Deployed]) -> tuple[Sequence[Finding], Sequence[Plan]]:
    """Each deployed plan in the journal; and the plans that are."""
    found = await asyncio.gather(*(_plan(journal, one) for one in deployed))
    return [finding for finding, _ in found], [plan for _, plan in found if plan]


async def blocks(plans: Sequence[Plan]) -> Sequence[Finding]:
    """Every block that a plan names: that it exists, opens and reaches its platform. All at the same time."""
    refs = dict.fromkeys(ref for plan in plans for ref in plan.block_refs())
    pages = {ref for plan in plans for ref in plan.notify.page}
    boards = {plan.dashboards for plan in plans}
    return await asyncio.gather(*(_block(ref, ref in pages, ref in boards) for ref in refs))


@asynccontextmanager
async def opened(ref: str) -> AsyncIterator[Block]:
    """The block as Prefect has it, until the end of the block. Raises as `load_fields` and `open_block` do."""
    block = open_block(ref, await load_fields(ref))
    try:
        yield block
    finally:
        if not isinstance(block, ApiToken):
            await block.close()


async def _plan(journal: Journal, deployed: Deployed) -> tuple[Finding, Plan | None]:
    what = f"plan {deployed.name}"
    try:
        stored = await journal.plan(deployed.plan_hash)
        plan = parse_plan(stored.body) if stored else None
        newest = await journal.plan_named(plan.name) if plan else None
    except CanaryError as error:
        return missing(what, error), None
    if plan is None:
        why = f"this journal has no plan {deployed.plan_hash[:12] or '(none named)'}"
        return Finding(what, "missing", why, "deploy it with this CANARY_JOURNAL_URL: canary deploy PLAN"), None
    if newest and newest.hash != deployed.plan_hash:
        why = f"{deployed.plan_hash[:12]} is deployed; the journal holds a later one, {newest.hash[:12]}"
        return Finding(what, "warning", why, "if that one is meant: canary deploy PLAN"), plan
    return _paged(what, deployed, plan), plan


def _paged(what: str, deployed: Deployed, plan: Plan) -> Finding:
    said = f"{deployed.plan_hash[:12]}, service {plan.service}"
    if any(KINDS[kind_of(ref)].confirms for ref in plan.notify.page):
        return Finding(what, "ok", said)
    routes = ", ".join(plan.notify.page)
    why = f"{said}; no route for pages ({routes}) can tell whether a page was delivered"
    return Finding(what, "warning", why, "put one before them that can, such as slack/NAME (docs/slack.md)")


async def _block(ref: str, pages: bool, boards: bool) -> Finding:
    async def look() -> Finding:
        async with opened(ref) as block:
            async with asyncio.timeout(PROVIDER_TIMEOUT):
                await block.check_connection()
            if pages:
                await cast(Notifier, block).check_paging()
            if boards:
                async with asyncio.timeout(PROVIDER_TIMEOUT):
                    await cast(Dashboards, block).check_writing()
        return Finding(what, "ok", "there" if kind_of(ref) in SILENT else "there, and its platform answers")

    what = f"block {ref}"
    return await looked(what, WITHIN, look)
