"""`canary plan check|schema|show|backtest`: look at a plan without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from canary.cli.backtesting import backtest

if TYPE_CHECKING:
    from canary.plan.load import LoadedPlan

app = typer.Typer(help="Check a plan, show it resolved, print its schema, test it on the past.", no_args_is_help=True)

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="The plan's YAML file, or an overlay of one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
app.command()(backtest)


@app.command()
def check(file: PlanFile, as_json: AsJson = False) -> None:
    """Check a plan; say in words what it does. Exit code 2 when it cannot be used."""
    from canary.plan.words import phase_in_words, review_in_words, warnings

    loaded = load(file, as_json)
    words = [phase_in_words(phase) for phase in loaded.plan.phases]
    notes, reviewed = warnings(loaded.plan), review_in_words(loaded.plan)
    if as_json:
        told = {"plan": loaded.plan.name, "service": loaded.plan.service, "hash": loaded.hash}
        typer.echo(
            json.dumps(
                {**told, "phases": words, "review": reviewed, "warnings": notes, "problems": []}, ensure_ascii=False
            )
        )
        return
    typer.echo(f"{file}: {loaded.plan.name} of service {loaded.plan.service} can be used ({loaded.hash[:12]})")
    for number, line in enumerate(words, 1):
        typer.echo(f"  {number}. {line}")
    if reviewed:
        typer.echo(f"  {reviewed}")
    for note in notes:
        typer.echo(f"warning: {note}")


@app.command()
def schema(as_json: AsJson = False) -> None:
    """Print the JSON Schema of plan files, for an editor."""
    from canary.plan.schema import plan_schema

    typer.echo(json.dumps(plan_schema(), indent=None if as_json else 2))


@app.command()
def show(file: PlanFile, as_json: AsJson = False) -> None:
    """Print the plan as it would be stored: overlays applied."""
    loaded = load(file, as_json)
    if as_json:
        typer.echo(json.dumps({"hash": loaded.hash, "plan": json.loads(loaded.body)}, ensure_ascii=False))
        return
    typer.echo(f"# sha256 {loaded.hash}\n{_yaml(loaded.body)}", nl=False)


def load(file: Path, as_json: bool) -> LoadedPlan:
    """The plan of a file. Exits with code 2 and every problem, as JSON too when that was asked for."""
    from canary.errors import PlanError
    from canary.plan.load import load_plan

    try:
        return load_plan(file)
    except PlanError as error:
        if as_json:
            typer.echo(json.dumps({"problems": error.problems}, ensure_ascii=False))
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None


def _yaml(body: str) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 110
    stream = StringIO()
    yaml.dump(json.loads(body), stream)
    return stream.getvalue()
