"""`canary journal ID|export|import`: what happened, and a journal moved from one database to another. No Prefect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from canary.ports import Entry

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MOVING_WITHIN = 600.0
"""Seconds for an import, which is one transaction."""


class ShowByDefault(TyperGroup):
    """`canary journal ID` is `canary journal show ID`."""

    # Any: the Context of click, or of the click that newer typers bring themselves.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, "--help"}
        return super().parse_args(ctx, ["show", *args] if args and args[0] not in known else args)


app = typer.Typer(
    cls=ShowByDefault,
    help="Everything that happened to a rollout: canary journal ID. Or a journal exported and imported.",
    no_args_is_help=True,
)


@app.command()
def show(
    rollout: Annotated[str, typer.Argument(metavar="ID", help="The rollout: canary status lists them.")],
    as_json: AsJson = False,
) -> None:
    """Everything that happened to a rollout, in order: each intent before its effect, each observation after.

    The word show may be left out.
    """
    for entry in asyncio.run(_lines(rollout)):
        typer.echo(_as_json(entry) if as_json else _as_line(entry))


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    rollout: Annotated[str | None, typer.Option(metavar="ID", help="Only this one; all of them by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write rollouts, plans and epochs into a file of JSON lines. Sealed credentials stay where they are."""
    asyncio.run(_export(file, rollout, as_json))


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What canary journal export has written.")],
    as_json: AsJson = False,
) -> None:
    """Take an exported journal into the one that CANARY_JOURNAL_URL names: all of it, or nothing."""
    asyncio.run(_import(file, as_json))


async def _export(file: Path, rollout: str | None, as_json: bool) -> None:
    from canary.cli.store import journal
    from canary.journal.exporting import export

    async with journal() as opened:
        counted = await export(opened, file, rollout)
    done = {"file": str(file), "entries": counted.entries, "plans": counted.plans}
    typer.echo(json.dumps(done) if as_json else f"{file}: {counted.entries} entries, {counted.plans} plans")


async def _import(file: Path, as_json: bool) -> None:
    from canary.cli.store import journal
    from canary.journal.importing import take_in

    async with journal(MOVING_WITHIN) as opened:
        taken = await take_in(opened, file)
    done = {"rollouts": taken.rollouts, "entries": taken.entries, "plans": taken.plans}
    told = f"{len(taken.rollouts)} rollouts, {taken.entries} entries, {taken.plans} plans"
    typer.echo(json.dumps(done) if as_json else told)


async def _lines(rollout: str) -> Sequence[Entry]:
    """As they are: a line that this version does not understand is shown like any other."""
    from canary.cli.store import journal
    from canary.rollout.people import read_state

    async with journal() as opened:
        entries = await opened.read(rollout)
        if not entries:
            await read_state(opened, rollout)
        return entries


def _as_json(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
    line = {"seq": entry.seq, "at": at, "epoch": entry.epoch, "type": entry.type, "data": dict(entry.data)}
    return json.dumps(line, ensure_ascii=False)


def _as_line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    data = json.dumps(dict(entry.data), ensure_ascii=False)
    return f"{entry.seq:5} {at} {entry.epoch:3} {entry.type:20} {data if len(data) <= 160 else data[:159] + '…'}"
