"""Traffic facts, read from where the plan's measurements come from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from canary.errors import MeasurementFailed
from canary.judge.block import NONE, Tally, plus
from canary.judge.buckets import whole
from canary.plan.model import Plan
from canary.ports import Metrics

NOBODY = "(no candidate)"
"""Stands for the candidate's version in the selectors of its arm: there is none yet."""


async def measured(metrics: Metrics, plan: Plan, stable: str, since: float, until: float) -> Mapping[str, Any]:
    """What the stable version did between two unix times: the document of a facts file, measure by measure.

    Raises MeasurementFailed when the source does not answer, or knows nothing of that version.
    """
    wanted = {
        name: signal
        for phase in plan.phases
        for name, signal in plan.measures(phase).items()
        if name in plan.judged(phase)
    }
    scrapes = await metrics.read(wanted, plan.arms.resolve(NOBODY, stable), since, until)
    found = {
        name: reduce(plus, (scrape.signals.get(name, {}).get("baseline", NONE) for scrape in scrapes), NONE)
        for name in wanted
    }
    told = {name: _told(tally, until - since) for name, tally in found.items() if tally.total}
    if not told:
        raise MeasurementFailed(
            f"not one request of {stable} was measured within {until - since:,.0f} s by {plan.metrics}",
            "check --stable and the plan's arms, or give the facts with --rps and --error-rate",
        )
    return {"signals": told}


def _told(tally: Tally, seconds: float) -> Mapping[str, Any]:
    if tally.buckets:
        seen = whole(tally)
        edges = {f"{edge:.9f}s": count for edge, count in seen.buckets.items() if edge > 0}
        return {"rps": seen.total / seconds, "buckets": {**edges, "+Inf": seen.total}}
    return {"rps": tally.total / seconds, "error_rate": f"{100 * min(tally.bad / tally.total, 1.0):.6f}%"}
