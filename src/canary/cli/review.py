"""`canary review`: the report on a rollout, at any time. Needs the journal, and no Prefect."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canary.review.report import Report

HtmlFile = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the whole report as a web page.")]


def review(
    rollout: Annotated[str, typer.Argument(metavar="ID", help="The rollout: canary status lists them.")],
    html: HtmlFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report on a rollout from its journal: the lines that matter, KPIs, latency, errors, adoption."""
    found = asyncio.run(_report(rollout))
    if html is not None:
        _write(html, found)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    typer.echo(f"{found.title}: {found.verdict}")
    for line in found.lines:
        typer.echo(f"  {line}")
    for kpi in found.kpis:
        reason = f" ({kpi.reason})" if kpi.reason else ""
        typer.echo(f"  {kpi.said:9} {kpi.name}: {kpi.value}, must be {kpi.limit}{reason}")
    if html is not None:
        typer.echo(f"  the whole report: {html}")


COMMANDS: dict[str, Callable[..., None]] = {"review": review}


async def _report(rollout: str) -> Report:
    from canary.cli.store import WallClock, journal
    from canary.settings import Settings
    from canary.tasks.reporting import review_of

    async with journal() as opened:
        return await review_of(opened, rollout, Settings.from_env(os.environ).home, WallClock().now())


def _write(file: Path, found: Report) -> None:
    from canary.errors import BadUsage
    from canary.review.page import html

    try:
        file.write_text(html(found), "utf-8")
    except OSError as error:
        raise BadUsage(f"{file} cannot be written: {error.strerror}", "name a file in a folder that exists") from None
