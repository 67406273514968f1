"""The report of a rollout: made from its journal, kept, shown in Prefect and told. Brings pandas along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from canary.blocks.opener import OPENER
from canary.blocks.sources import read_sources
from canary.errors import CanaryError, Conflict
from canary.plan.load import parse_plan
from canary.ports import Journal
from canary.review.page import html, markdown
from canary.review.reading import Reading, read
from canary.review.report import Report
from canary.review.report import report as made
from canary.rollout.conducting import Stores, stored_plan
from canary.rollout.events import Reviewed
from canary.rollout.people import read_state
from canary.rollout.posting import post_to_thread
from canary.rollout.thread import line
from canary.settings import Settings
from canary.tasks.foreign import own_words
from canary.tasks.policy import POLICY


@task(name="report", **POLICY)
@own_words
async def report(stores: Stores, rollout: str, offset: float) -> tuple[str, ...]:
    """The three lines that matter; the first time they are asked for at this offset, journaled, shown and told."""
    told = await read(stores.journal, rollout)
    if offset in told.state.reviewed:
        return told.state.reviewed[offset]
    found = await _made(stores.journal, told, Settings.from_env(os.environ).home, stores.clock.now())
    reviewed = Reviewed(offset=offset, lines=found.lines)
    if (first := await _journaled(stores, rollout, reviewed)) is not reviewed:
        return first.lines
    await _keep(stores, found, offset)
    await _show(found, offset)
    # Nobody told is no reason to report again: the lines are journaled.
    with contextlib.suppress(CanaryError):
        await post_to_thread(stores, OPENER, rollout, line(told.state, reviewed) or "")
    return found.lines


async def review_of(journal: Journal, rollout: str, folder: Path, now: float) -> Report:
    """The report as of now. folder: where the relative paths of CSV sources begin. Raises UnknownRollout."""
    return await _made(journal, await read(journal, rollout), folder, now)


async def _made(journal: Journal, told: Reading, folder: Path, now: float) -> Report:
    plan = parse_plan((await stored_plan(journal, told.state.plan_hash)).body)
    answers = await read_sources(plan.sources, folder, told.columns.full_at)
    # Days of blocks take a while to add up: meanwhile whoever else runs here goes on.
    return await asyncio.to_thread(made, plan, told.state, told.columns.frames(), answers, now)


async def _journaled(stores: Stores, rollout: str, reviewed: Reviewed) -> Reviewed:
    """What stands in the journal for this offset: ours, or what another run was first with."""
    while True:
        state = await read_state(stores.journal, rollout)
        if reviewed.offset in state.reviewed:
            return Reviewed(offset=reviewed.offset, lines=state.reviewed[reviewed.offset])
        try:
            await stores.journal.append(rollout, state.seq, [reviewed.entry(stores.clock.now())])
        except Conflict:
            continue
        return reviewed


async def _keep(stores: Stores, found: Report, offset: float) -> None:
    """As a page among the rollout's documents; a full disk costs no report."""
    with contextlib.suppress(OSError):
        await stores.shelf.put(found.rollout, f"review-{offset:g}s.html", await asyncio.to_thread(html, found))


async def _show(found: Report, offset: float) -> None:
    """As an artifact of this run, if it is one. Prefect being away changes nothing about the review."""
    if not flow_run.id:
        return
    key = re.sub(r"[^a-z0-9]+", "-", f"review-{found.rollout}-{offset:g}".lower()).strip("-")
    try:
        async with asyncio.timeout(10):
            await acreate_markdown_artifact(markdown(found), key=key, description=found.verdict)
    except Exception as error:
        get_run_logger().warning("the report could not be shown in Prefect: %s", type(error).__name__)
