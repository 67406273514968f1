"""`canary plan backtest`: a plan against the service's own past. Needs the journal, and Prefect with --last alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from canary.judge.backtest.history import History
    from canary.plan.load import LoadedPlan
    from canary.plan.model import Plan
    from canary.review.backtest import Backtest

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="The plan's YAML file, or an overlay of one.")]
Exports = Annotated[
    list[Path] | None,
    typer.Option("--history", metavar="EXPORT", help="CSV or Parquet (docs/backtest.md); more than once."),
]
Last = Annotated[
    str | None, typer.Option("--last", metavar="TIME", help="Read the plan's Prometheus instead, back so far: 720h.")
]
Pod = Annotated[str, typer.Option("--pod", metavar="LABEL", help="With --last: the label that names a pod.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a web page.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the harm that is put in; the same one, the same report.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def backtest(
    file: PlanFile,
    history: Exports = None,
    last: Last = None,
    pod: Pod = "instance",
    html: Html = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Judge the service's own past: false rollbacks, harm found, the smallest margin. Recorded in the journal.

    Exit code 0 whether it passes or not: the output says so; a rollout whose plan demands it is refused.
    """
    from canary.cli.plan import load
    from canary.cli.store import WallClock

    loaded = load(file, as_json)
    found = _found(loaded, lambda: _past(loaded.plan, history, last, pod), seed, WallClock().now())
    asyncio.run(_record(loaded.plan, found))
    if html is not None:
        _write(html, found)
    if as_json:
        typer.echo(json.dumps(_data(found), ensure_ascii=False))
        return
    _tell(found, html)


def _past(plan: Plan, files: Sequence[Path] | None, last: str | None, pod: str) -> History:
    from canary.errors import BadUsage

    if bool(files) == bool(last):
        what = "a backtest has one past" if files else "a backtest needs a past"
        raise BadUsage(what, "give either --history EXPORT, or --last TIME to read the plan's Prometheus")
    if files:
        from canary.cli.exports import gathered

        return gathered(files).history()
    from canary.cli.measured import measured

    return asyncio.run(measured(plan, str(last), pod))


def _found(loaded: LoadedPlan, past_of: Callable[[], History], seed: int, now: float) -> Backtest:
    from canary.errors import BadUsage
    from canary.judge.backtest.run import backtested
    from canary.review.backtest import Backtest, history_in_words
    from canary.rollout.backtested import judged_phases

    phases = judged_phases(loaded.plan)
    if not phases:
        what = f"plan {loaded.plan.name} judges nothing while only some users have the candidate"
        raise BadUsage(what, "give a phase below 100% a duration and criteria or triggers")
    past = past_of()
    return Backtest(
        plan=loaded.plan.name,
        service=loaded.plan.service,
        plan_hash=loaded.hash,
        history=history_in_words(past),
        phases=tuple(backtested(phase, past, seed) for phase in phases),
        seed=seed,
        made_at=now,
    )


async def _record(plan: Plan, found: Backtest) -> None:
    from canary.cli.store import WallClock, journal
    from canary.rollout.backtested import record

    async with journal() as opened:
        await record(opened, WallClock(), plan, _data(found))


def _data(found: Backtest) -> dict[str, Any]:
    phases = [{**asdict(phase), "passes": phase.passes} for phase in found.phases]
    return {**asdict(found), "passes": found.passes, "phases": phases}


def _write(file: Path, found: Backtest) -> None:
    from canary.errors import BadUsage
    from canary.review.backtest_page import html

    try:
        file.write_text(html(found), "utf-8")
    except OSError as error:
        raise BadUsage(f"{file} cannot be written: {error.strerror}", "name a file in a folder that exists") from None


def _tell(found: Backtest, html: Path | None) -> None:
    from canary.review.backtest import lines

    for line in lines(found):
        typer.echo(line)
    if html is not None:
        typer.echo(f"  the whole report: {html}")
    typer.echo("  recorded in the journal, for plans that say: backtest: required")
