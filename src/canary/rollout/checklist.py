"""The checklist before anything is touched: each item looked at, all at the same time, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from canary.errors import ProviderError, Refused
from canary.plan.checklist import ChecklistItem, CommandEvidence, FileEvidence, UrlEvidence, WordEvidence
from canary.plan.checklist import kind_of_evidence as kind_of
from canary.plan.model import Plan
from canary.ports import Clock, Found, Probe
from canary.rollout.adapters import Adapters
from canary.rollout.events import ChecklistObserved
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

FILE_TIMEOUT = 30.0
GRACE = 5.0
"""Seconds more than a command may take, for the end of what it started."""


async def look_at_checklist(plan: Plan, adapters: Adapters, clock: Clock) -> list[ChecklistObserved]:
    """Every item, in the plan's order. Never raises for what is looked at."""
    return list(await asyncio.gather(*(_observed(item, plan, adapters, clock) for item in plan.checklist)))


def insist(looked: Sequence[ChecklistObserved]) -> None:
    """Raises Refused, naming every item that is not fulfilled, and why."""
    missing = [f"{each.item}: {each.detail}" for each in looked if each.outcome == "not fulfilled"]
    if missing:
        raise Refused(
            f"the checklist is not fulfilled: {'; '.join(missing)}",
            "do what is missing, then start again; paths and commands are relative to the folder in CANARY_EVIDENCE, "
            "as the process that runs the rollout has it",
        )


async def _observed(item: ChecklistItem, plan: Plan, adapters: Adapters, clock: Clock) -> ChecklistObserved:
    evidence = item.evidence
    if isinstance(evidence, WordEvidence):
        digest = hashlib.sha256(evidence.says.encode()).hexdigest()
        said = f"the word of {plan.roles[evidence.word_of].name}: {evidence.says}"
        return ChecklistObserved(item=item.item, kind="word_of", outcome="unproven", detail=said, sha256=digest)
    found = await _found(evidence, adapters, clock)
    outcome = "fulfilled" if found.fulfilled else "not fulfilled"
    return ChecklistObserved(
        item=item.item, kind=kind_of(evidence) or "", outcome=outcome, detail=found.detail, sha256=found.sha256
    )


async def _found(evidence: FileEvidence | CommandEvidence | UrlEvidence, adapters: Adapters, clock: Clock) -> Found:
    match evidence:
        case FileEvidence():
            seconds, look = FILE_TIMEOUT, adapters.evidence.file(evidence.file)
        case CommandEvidence():
            seconds = evidence.within + GRACE
            look = adapters.evidence.command(evidence.command, evidence.within)
        case UrlEvidence():
            seconds, look = PROVIDER_TIMEOUT, _page(adapters.probe, evidence.url)
    try:
        return await within(clock, seconds, look)
    except TimeoutError:
        return Found(False, f"no answer within {seconds:.0f} s")


async def _page(probe: Probe, url: str) -> Found:
    """sha256 of the first 10 MB of the body, as UTF-8."""
    shown = url.partition("?")[0]
    try:
        answer = await probe.get(url, {})
    except ProviderError as error:
        return Found(False, error.what)
    good, digest = 200 <= answer.status < 300, hashlib.sha256(answer.body.encode()).hexdigest()
    return Found(good, f"GET {shown} answered {answer.status}", digest if good else "")
