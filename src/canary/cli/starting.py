"""`canary init`, `blocks apply` and `doctor`: a team's own start."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

blocks = typer.Typer(help="Make the blocks that a plan names, from a file.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the files shall be.")] = Path(),
    service: Annotated[str, typer.Option("--service", help="What your service is called.")] = "my-service",
    as_json: AsJson = False,
) -> None:
    """Write a commented plan and a commented blocks file to begin with. Overwrites nothing."""
    from canary.cli.beginning import begin

    plan, blocks_file = begin(folder, service)
    if as_json:
        typer.echo(json.dumps({"written": [str(plan), str(blocks_file)]}))
        return
    typer.echo(f"written {plan}: change what is marked EDIT, then: canary plan check {plan}")
    typer.echo(f"written {blocks_file}: set its variables, then: canary blocks apply {blocks_file} --check")


@blocks.callback()
def _group() -> None:
    """Keeps `apply` a word of its own while it is the only one."""


@blocks.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The blocks file: kind/name → fields.")],
    check: Annotated[bool, typer.Option("--check", help="Look for problems only; needs no Prefect.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the file's blocks in Prefect, or bring them up to date. ${NAME} is taken from the environment."""
    from canary.cli.blocksfile import read_blocks

    found = read_blocks(file, os.environ)
    if found.problems:
        _refuse(found.problems, as_json)
    if not check:
        asyncio.run(_save(found.blocks))
    done = {"checked" if check else "applied": list(found.blocks), "problems": []}
    typer.echo(json.dumps(done) if as_json else _in_words(list(found.blocks), check))


def _refuse(problems: tuple[str, ...], as_json: bool) -> None:
    from canary.errors import BadUsage

    if as_json:
        typer.echo(json.dumps({"problems": problems}, ensure_ascii=False))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "\n".join(f"  {problem}" for problem in problems)
    raise BadUsage(f"the blocks file has {count}:\n{lines}", "correct the file or the environment; nothing was applied")


async def _save(fields: Mapping[str, Mapping[str, Any]]) -> None:
    from canary.blocks.registry import save

    for ref, values in fields.items():
        await save(ref, values)


def _in_words(refs: list[str], check: bool) -> str:
    return "\n".join(f"{ref}: {'can be applied' if check else 'applied'}" for ref in refs)


def doctor(
    notify: Annotated[
        bool, typer.Option("--notify", help="Send a test message and a test page by every route.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is there and what is missing, each with what to do. Exit code 1 when something is missing."""
    from canary.cli.doctor.examination import examine
    from canary.cli.doctor.finding import as_text

    findings = asyncio.run(examine(notify))
    missing = sum(finding.standing == "missing" for finding in findings)
    if as_json:
        told = [finding.as_json() for finding in findings]
        typer.echo(json.dumps({"missing": missing, "findings": told}, ensure_ascii=False))
    else:
        typer.echo(as_text(findings))
    raise typer.Exit(1 if missing else 0)


COMMANDS: dict[str, Callable[..., None]] = {"init": init, "doctor": doctor}
