"""A service's past from the Prometheus or Grafana that its plan names, pod by pod."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from canary.blocks.grafana import GrafanaServer
from canary.blocks.prometheus import PrometheusServer
from canary.blocks.registry import load_fields, open_block
from canary.cli.store import WallClock
from canary.errors import BadUsage
from canary.judge.backtest.history import BAD, TOTAL, Gathering, History
from canary.judge.series import Series, increments
from canary.plan.model import Arms, Plan, Signal
from canary.plan.units import seconds

if TYPE_CHECKING:
    from canary.judge.odds import Array
    from canary.ports import Increment, Scrape

AT_ONCE = 3600.0
"""Seconds that are asked for at once."""
Sums = dict[tuple[str, str, float | str], float]
"""Pod, measure, column → what was counted so far."""


async def measured(plan: Plan, last: str, pod: str) -> History:
    """From so long ago until now. Raises BadUsage, and as blocks are loaded and metrics read."""
    try:
        until = WallClock().now()
        since = until - seconds(last)
    except ValueError as error:
        raise BadUsage(f"--last {error}", "such as 720h for 30 days") from None
    block = open_block(plan.metrics, await load_fields(plan.metrics))
    if not isinstance(block, PrometheusServer | GrafanaServer):
        what = f"{plan.metrics} keeps no history that could be read"
        raise BadUsage(what, "give an export: --history EXPORT (docs/backtest.md)")
    try:
        return await past_of(block, plan, pod, since, until)
    finally:
        await block.close()


async def past_of(block: PrometheusServer | GrafanaServer, plan: Plan, pod: str, since: float, until: float) -> History:
    """The increments of each hour, pod by pod, added up to counters that never restart."""
    signals = _judged(plan)
    labels = {label: value for label, value in plan.arms.baseline.items() if "{" not in value}
    found, sums = Gathering(), Sums()
    for hour in range(math.ceil((until - since) / AT_ONCE)):
        begin, end = since + hour * AT_ONCE, min(since + (hour + 1) * AT_ONCE, until)
        series = await block.past(signals, labels, begin, end)
        for name, own in _by_pod(series, pod).items():
            # The baseline is nobody: what is asked for is one pod's series alone.
            only = Arms(canary={pod: name}, baseline={pod: f"{name}\n"})
            _add(found, sums, name, increments(own, signals, only, begin, end))
    return found.history()


def _judged(plan: Plan) -> Mapping[str, Signal]:
    """Measure → signal, of all phases with some of the users; ready-made numbers are not counted by anybody."""
    phases = [phase for phase in plan.phases if 0 < phase.exposure < 1]
    every = {measure: plan.measures(phase)[measure] for phase in phases for measure in plan.judged(phase)}
    return {measure: signal for measure, signal in every.items() if signal.gauge is None}


def _by_pod(series: Iterable[Series], pod: str) -> Mapping[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in series:
        if pod not in one.labels:
            has = ", ".join(sorted(one.labels))
            raise BadUsage(
                f"{one.name} has no label {pod!r}; it has: {has}", "name the one that tells pods: --pod LABEL"
            )
        found.setdefault(one.labels[pod], []).append(one)
    return found


def _add(found: Gathering, sums: Sums, pod: str, scrapes: Sequence[Scrape]) -> None:
    for measure in {measure for scrape in scrapes for measure in scrape.signals}:
        steps = [(s.at, s.signals[measure]["canary"]) for s in scrapes if "canary" in s.signals.get(measure, {})]
        names: list[float | str] = [TOTAL, BAD, *sorted({edge for _, step in steps for edge in step.buckets})]
        columns: dict[float | str, Array] = {}
        for name in names:
            counted = np.cumsum([_value(step, name) for _, step in steps]) + sums.get((pod, measure, name), 0.0)
            sums[pod, measure, name], columns[name] = float(counted[-1]), counted
        found.add(pod, measure, np.array([at for at, _ in steps]), columns)


def _value(step: Increment, name: float | str) -> float:
    if isinstance(name, float):
        return step.buckets.get(name, 0.0)
    return step.total if name == TOTAL else step.bad
