"""The steps after full exposure: each is done once, journaled, and shown; none of them holds a rollout up."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from canary.boards.alerting import alert_rules, group, left_out, rule_file
from canary.errors import CanaryError, JournalUnavailable
from canary.plan.model import Plan, Step
from canary.ports import Clock, Dashboards, Entry, Notifier, Receipt, Shelf
from canary.review.audit import audit_event
from canary.review.drafts import announcement, drafts
from canary.review.figures import figures
from canary.rollout.events import Baseline, ClosingDone
from canary.rollout.state import State
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

Lines = Callable[[], Awaitable[Sequence[Entry]]]
"""Reads the rollout's whole journal."""


class Closing:
    """Does a step and says what came of it. `told` are the notifiers that hear the announcement, by reference.

    dashboards: where the dashboard and the alert rules go; without, they are documents as the others are.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        shelf: Shelf,
        told: Mapping[str, Notifier],
        dashboards: Dashboards | None = None,
    ) -> None:
        self.plan = plan
        self.clock = clock
        self.shelf = shelf
        self.told = told
        self.dashboards = dashboards

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
                case "dashboards":
                    return await self._dashboard(state)
                case "alerts":
                    return await self._alerts(state)
                case "docs":
                    return await self._docs(state, await lines())
                case "announce":
                    return await self._announce(state)
        except JournalUnavailable:
            raise
        except TimeoutError:
            return ClosingDone(step=step, ok=False, detail=f"no answer within {PROVIDER_TIMEOUT:.0f} s")
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

    async def _dashboard(self, state: State) -> ClosingDone:
        # Grafana's builder is loaded when a dashboard is built, and not with every command.
        from canary.boards.dashboard import dashboard

        document = dashboard(self.plan, state.version, state.stable_version)
        text = json.dumps(document, indent=2, sort_keys=True) + "\n"
        if self.dashboards:
            detail = await within(self.clock, PROVIDER_TIMEOUT, self.dashboards.push(document))
        else:
            detail = f"left as {await self._put(state, 'dashboard.json', text)}, to be imported into Grafana"
        return ClosingDone(step="dashboards", ok=True, detail=detail, data={"sha256": _sha256(text)})

    async def _alerts(self, state: State) -> ClosingDone:
        text, rules = rule_file(self.plan), alert_rules(self.plan)
        if self.dashboards:
            detail = await within(self.clock, PROVIDER_TIMEOUT, self.dashboards.alerts(group(self.plan), rules))
        else:
            detail = f"{len(rules)} left as {await self._put(state, 'alerts.yaml', text)}, for Prometheus's rule_files"
        missing = "".join(f"; left out, since it compares with a baseline: {name}" for name in left_out(self.plan))
        return ClosingDone(step="alerts", ok=True, detail=detail + missing, data={"sha256": _sha256(text)})

    async def _docs(self, state: State, entries: Sequence[Entry]) -> ClosingDone:
        written: dict[str, Any] = {}
        for name, text in drafts(self.plan, state, entries, self.clock.now()).items():
            await self._put(state, name, text)
            written[name] = _sha256(text)
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


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
