"""The steps after full exposure: each is done once, journaled, and shown; none of them holds a rollout up."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from canary.errors import CanaryError, JournalUnavailable
from canary.plan.model import Plan, Step
from canary.ports import Clock, Entry, Notifier, Receipt, Shelf
from canary.review.audit import audit_event
from canary.review.drafts import announcement, drafts
from canary.review.figures import figures
from canary.rollout.events import Baseline, ClosingDone
from canary.rollout.state import State
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Lines = Callable[[], Awaitable[Sequence[Entry]]]
"""Reads the rollout's whole journal."""


class Closing:
    """Does a step and says what came of it. `told` are the notifiers that hear the announcement, by reference."""

    def __init__(self, plan: Plan, clock: Clock, shelf: Shelf, told: Mapping[str, Notifier]) -> None:
        self.plan = plan
        self.clock = clock
        self.shelf = shelf
        self.told = told

    async def do(self, step: Step, state: State, lines: Lines) -> ClosingDone:
        """Done, or given up with the reason: a rollout that everybody has is not held up by what it leaves behind.

        Raises JournalUnavailable: then the step is still to be done.
        """
        try:
            match step:
                case "audit":
                    return await self._audit(state)
                case "baseline":
                    return self._baseline(state)
                case "docs":
                    return await self._docs(state, await lines())
                case "announce":
                    return await self._announce(state)
        except JournalUnavailable:
            raise
        except (CanaryError, OSError) as error:
            return ClosingDone(step=step, ok=False, detail=str(error))

    async def _audit(self, state: State) -> ClosingDone:
        event = audit_event(self.plan, state, self.clock.now())
        where = await self._put(state, "audit.json", json.dumps(event, indent=2) + "\n")
        missing = [name for name, value in event["details"]["success_metrics"].items() if value is None]
        detail = f"{event['type']} written to {where}" + (f"; not measured: {', '.join(missing)}" if missing else "")
        return ClosingDone(step="audit", ok=not missing, detail=detail, data=event)

    def _baseline(self, state: State) -> ClosingDone:
        found = figures(state.evidence, "canary")
        recorded = Baseline(rollout=state.rollout, version=state.version, figures=found)
        against = f"before: {state.former.version} of {state.former.rollout}" if state.former else "the first one"
        data = recorded.model_dump(mode="json")
        return ClosingDone(step="baseline", ok=bool(found), detail=f"{len(found)} measures; {against}", data=data)

    async def _docs(self, state: State, entries: Sequence[Entry]) -> ClosingDone:
        written: dict[str, Any] = {}
        for name, text in drafts(self.plan, state, entries, self.clock.now()).items():
            await self._put(state, name, text)
            written[name] = hashlib.sha256(text.encode()).hexdigest()
        return ClosingDone(step="docs", ok=True, detail=f"drafts of {', '.join(written)}", data=written)

    async def _announce(self, state: State) -> ClosingDone:
        message = announcement(self.plan, state)
        receipts = await asyncio.gather(*(self._tell(route, message, state) for route in self.told))
        failed = [f"{receipt.route}: {receipt.detail}" for receipt in receipts if not receipt.confirmed]
        detail = f"told {', '.join(self.told)}" + (f"; unconfirmed: {'; '.join(failed)}" if failed else "")
        return ClosingDone(step="announce", ok=True, detail=detail, data={"message": message})

    async def _tell(self, route: str, message: str, state: State) -> Receipt:
        posted = self.told[route].post(state.rollout, message, state.threads.get(route, ""))
        try:
            return await within(self.clock, PROVIDER_TIMEOUT, posted)
        except TimeoutError:
            return Receipt(route, False, f"no answer within {PROVIDER_TIMEOUT:.0f} s")

    async def _put(self, state: State, name: str, text: str) -> str:
        return await self.shelf.put(state.rollout, name, text)
