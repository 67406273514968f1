"""`canary plan power`, and what `plan check` says of rules at the service's traffic: what a plan can decide at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from canary.errors import BadUsage, CanaryError, ProviderUnavailable
from canary.judge.power.facts import Facts, read_facts
from canary.judge.power.outlook import Outlook, outlooks
from canary.plan.model import Phase, Plan
from canary.plan.units import percent
from canary.rollout.judging import terms_of

if TYPE_CHECKING:
    from canary.ports import Metrics

ANSWERS_WITHIN = 60.0
"""Seconds for the block and for all that it reads."""


@dataclass(frozen=True, slots=True)
class Given:
    """The traffic facts of a command line, as they were typed. hours: of the metrics' past that are read instead."""

    rps: float | None = None
    error_rate: str | None = None
    latency: tuple[str, ...] = ()
    file: Path | None = None
    hours: float | None = None
    stable: str = ""

    @property
    def any(self) -> bool:
        return self != Given()

    def document(self) -> dict[str, Any]:
        """As a facts file would say it. Raises BadUsage for a latency that is none."""
        whole = {"rps": self.rps, "error_rate": self.error_rate, "signals": dict(map(_latency, self.latency))}
        return {key: value for key, value in whole.items() if value is not None and value != {}}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A phase with users, and what its rules can decide."""

    phase: Phase
    alpha: float
    rules: tuple[Outlook, ...]


def facts_of(given: Given, plan: Plan) -> Facts:
    """Typed facts win over the file's, and both over what was measured.

    Raises BadUsage for facts that are none, MeasurementFailed and ProviderUnavailable when nothing can be read.
    """
    typed = given.document()
    if given.hours is None:
        if given.stable:
            raise BadUsage("--stable names whose past is read", "add --from-metrics HOURS, or leave it out")
        return read_facts(given.file, typed, plan)
    if not 0 < given.hours <= 24 * 14 or not given.stable or given.file:
        raise BadUsage(
            "--from-metrics reads up to 336 hours of the past of one version, and no facts file",
            "such as: --from-metrics 2 --stable 2.0.9",
        )
    return read_facts(None, _over(asyncio.run(_measured(plan, given.stable, given.hours)), typed), plan)


def foresee(plan: Plan, facts: Facts, simulate: bool) -> Iterator[Foreseen]:
    """Phase by phase; those without users or rules are left out."""
    for phase in plan.phases:
        terms = terms_of(plan, phase)
        found = tuple(outlooks(phase, terms, plan.measures(phase), facts, simulate))
        if found:
            yield Foreseen(phase, terms.alpha, found)


def as_data(foreseen: Sequence[Foreseen]) -> list[dict[str, Any]]:
    """JSON data; shares 0–1, seconds of plan time."""
    return [
        {
            "phase": each.phase.name,
            "exposure": each.phase.exposure,
            "seconds": each.phase.duration,
            "rules": [rule.to_data() for rule in each.rules],
        }
        for each in foreseen
    ]


def notes(plan: Plan, facts: Facts) -> Iterator[str]:
    """What `plan check` says of rules that are taken at their word, of edges, and of what can never decide."""
    for foreseen in foresee(plan, facts, simulate=False):
        for rule in foreseen.rules:
            about = f"{foreseen.phase.name}: {rule.name}"
            yield from (f"{about}: {said}" for said in _said(rule, foreseen.alpha))


def never_decides(plan: Plan) -> Iterator[str]:
    """What can be said without any facts: of ready-made numbers."""
    for foreseen in foresee(plan, Facts(), simulate=False):
        for rule in foreseen.rules:
            if rule.signs and rule.standing == "cannot decide":
                about = f"{foreseen.phase.name}: {rule.name}"
                yield from (f"{about}: {said}" for said in _said(rule, foreseen.alpha))


def _said(rule: Outlook, alpha: float) -> Iterator[str]:
    if rule.judged == "literal":
        yield (
            f"taken at its word, {_fires(rule)}; the statistical rule to write instead: {rule.instead}; "
            f"all of those together end {percent(alpha)} of the healthy releases at most"
        )
        yield from rule.notes
        return
    if rule.standing == "cannot decide":
        yield f"{rule.why}; {'; '.join(rule.suggestions)}"
    if rule.clean and rule.side == "criterion":
        yield f"green needs {rule.clean:,} canary requests at the least, not one of them bad"
    yield from (note for note in rule.notes if "no bucket edge" in note)


def _fires(rule: Outlook) -> str:
    if rule.fires is None:
        return f"how often it would end a healthy release cannot be said: {rule.why}"
    return f"it would end {chance(rule.fires)} of all healthy releases"


def chance(share: float) -> str:
    """A chance as people read it: never more digits than it is sure of."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if 0.999 < share < 1 else f"{100 * share:.3g} %"


def _latency(text: str) -> tuple[str, Mapping[str, str]]:
    signal, _, quantiles = text.partition("=")
    p50, _, p95 = quantiles.partition("/")
    if not (signal and p50 and p95):
        raise BadUsage(
            f"--latency {text!r} is none", "write the signal, its median and its p95: --latency api_latency=40ms/90ms"
        )
    return signal, {"p50": p50, "p95": p95}


def _over(found: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What is typed for the whole service holds for each signal, too."""
    signals = {
        name: {key: told for key, told in of.items() if key not in typed} for name, of in found["signals"].items()
    }
    for name, latency in typed.get("signals", {}).items():
        signals[name] = {**{key: told for key, told in signals.get(name, {}).items() if key != "buckets"}, **latency}
    return {**typed, "signals": signals}


async def _measured(plan: Plan, stable: str, hours: float) -> Mapping[str, Any]:
    from canary.cli.doctor.plans import opened
    from canary.judge.power.measured import measured

    now = time.time()
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), opened(plan.metrics) as block:
            return await measured(cast("Metrics", block), plan, stable, now - 3600 * hours, now)
    except TimeoutError:
        raise ProviderUnavailable(
            f"{plan.metrics} did not answer within {ANSWERS_WITHIN:.0f} s", "read fewer hours, or give the facts"
        ) from None


def plot_error(file: Path, error: OSError) -> CanaryError:
    """Where the plot cannot be written."""
    return BadUsage(f"the plot cannot be written to {file}: {error.strerror}", "name a file in a folder that is there")
