"""The doctor's test messages: one by every route, one page by every route for pages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import cast

from canary.cli.doctor.finding import Finding, Standing, looked
from canary.cli.doctor.plans import opened
from canary.plan.kinds import KINDS, kind_of
from canary.plan.model import Plan
from canary.ports import Notifier, Receipt

WITHIN = 15.0
"""Seconds for one message: five to load its block from Prefect, and what a slow route takes."""


async def tried(plans: Sequence[Plan]) -> Sequence[Finding]:
    """The receipt of each test message and each test page. Each route once, whatever many plans name it."""
    told = dict.fromkeys(ref for p in plans for ref in (*p.notify.updates, *(p.announce.to if p.announce else ())))
    paged = dict.fromkeys(ref for p in plans for ref in p.notify.page)
    return await asyncio.gather(*map(_message, told), *map(_page, paged))


async def _message(ref: str) -> Finding:
    async def look() -> Finding:
        async with opened(ref) as block:
            receipt = await cast(Notifier, block).post("doctor", _says("message"))
        return _finding(what, receipt, "warning")

    what = f"message by {ref}"
    return await looked(what, WITHIN, look)


async def _page(ref: str) -> Finding:
    """A page that is not delivered wakes nobody: missing, where the route could have told."""

    async def look() -> Finding:
        async with opened(ref) as block:
            receipt = await cast(Notifier, block).page("doctor", _says("page"))
        return _finding(what, receipt, "missing" if KINDS[kind_of(ref)].confirms else "warning")

    what = f"page by {ref}"
    return await looked(what, WITHIN, look)


def _says(kind: str) -> str:
    return f"a test {kind} of canary doctor on {socket.gethostname()}: nothing is wrong, nothing is to be done"


def _finding(what: str, receipt: Receipt, unconfirmed: Standing) -> Finding:
    if receipt.confirmed:
        return Finding(what, "ok", f"delivered: {receipt.detail}")
    fix = "look whether it arrived; if not, correct the route's block"
    return Finding(what, unconfirmed, f"not confirmed: {receipt.detail}", fix)
