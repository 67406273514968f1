"""`canary plan check|power|backtest|alerts|dashboard|schema|show`: look at a plan without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from canary.cli.backtesting import backtest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from canary.plan.load import LoadedPlan
    from canary.plan.model import Plan

app = typer.Typer(
    help="Check a plan, foresee and test what it can decide, show it, print its alerts, dashboard and JSON Schema.",
    no_args_is_help=True,
)

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="The plan's YAML file, or an overlay of one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
app.command()(backtest)


Rps = Annotated[float | None, typer.Option("--rps", help="Requests a second of the whole service.")]
ErrorRate = Annotated[str | None, typer.Option("--error-rate", help="The share of bad ones today, such as 0.2%.")]
LatencyToday = Annotated[
    list[str] | None,
    typer.Option("--latency", help="A signal's median and p95 today: api_latency=40ms/90ms. May be given again."),
]
FactsFile = Annotated[
    Path | None, typer.Option("--facts", help="These facts as a YAML or JSON file: docs/plan-power.md.")
]


@app.command()
def check(
    file: PlanFile,
    rps: Rps = None,
    error_rate: ErrorRate = None,
    latency: LatencyToday = None,
    facts: FactsFile = None,
    ask: Annotated[bool, typer.Option("--live", help="Ask Prefect and the platforms, too; changes nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a plan; say in words what it does. Exit code 2 when it cannot be used.

    With traffic facts it also says how often rules taken at their word would end a healthy release. With --live every
    block that it names is asked whether it answers, and whether it can show what the phases want.
    """
    from canary.plan.words import features_in_words, phase_in_words, review_in_words, warnings

    loaded = load(file, as_json)
    words = [phase_in_words(phase) for phase in loaded.plan.phases]
    features = features_in_words(loaded.plan)
    cautions, reviewed = warnings(loaded.plan), review_in_words(loaded.plan)
    noted = _notes(loaded.plan, rps, error_rate, latency, facts)
    found, problems = _live(loaded.plan) if ask else ([], [])
    if as_json:
        told = {"plan": loaded.plan.name, "service": loaded.plan.service, "hash": loaded.hash}
        said = {
            "phases": words,
            "features": features,
            "review": reviewed,
            "notes": noted,
            "warnings": cautions,
            "problems": problems,
        }
        typer.echo(json.dumps({**told, **said, **({"live": found} if ask else {})}, ensure_ascii=False))
        _stop_at(problems)
        return
    usable = "cannot be used" if problems else "can be used"
    typer.echo(f"{file}: {loaded.plan.name} of service {loaded.plan.service} {usable} ({loaded.hash[:12]})")
    for number, line in enumerate(words, 1):
        typer.echo(f"  {number}. {line}")
    for line in filter(None, (features, reviewed)):
        typer.echo(f"  {line}")
    for note in noted:
        typer.echo(f"note: {note}")
    for caution in cautions:
        typer.echo(f"warning: {caution}")
    for line in found:
        typer.echo(f"live: {line}")
    _stop_at(problems)


def _live(plan: Plan) -> tuple[list[str], list[str]]:
    """What the platforms say that is good, and every problem. Prefect is imported for this alone."""
    import asyncio

    from canary.cli.live import live

    said = asyncio.run(live(plan))
    return [each.line() for each in said if each.good], [problem for each in said for problem in each.problems]


def _stop_at(problems: Sequence[str]) -> None:
    """Ends with code 2 where there are any, all of them on standard error."""
    from canary.errors import PlanError

    if problems:
        error = PlanError([problem.replace("\n", "\n  ") for problem in problems])
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code)


def _notes(
    plan: Plan, rps: float | None, error_rate: str | None, latency: list[str] | None, facts: Path | None
) -> Sequence[str]:
    """The judge is imported only where it has something to say: without facts, of ready-made numbers alone."""
    from canary.plan.words import ready_made, without_facts

    if rps is None and error_rate is None and not latency and facts is None and not ready_made(plan):
        return without_facts(plan)
    from canary.cli.foreseeing import Given, facts_of, never_decides, notes

    given = Given(rps, error_rate, tuple(latency or ()), facts)
    if given.any:
        return [*notes(plan, facts_of(given, plan))]
    return [*without_facts(plan), *never_decides(plan)]


@app.command()
def power(
    file: PlanFile,
    rps: Rps = None,
    error_rate: ErrorRate = None,
    latency: LatencyToday = None,
    facts: FactsFile = None,
    hours: Annotated[
        float | None,
        typer.Option("--from-metrics", metavar="HOURS", help="Read so many hours from the plan's metrics instead."),
    ] = None,
    stable: Annotated[str, typer.Option("--stable", help="With --from-metrics: the version whose past it is.")] = "",
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw power against harm.")] = None,
    as_json: AsJson = False,
) -> None:
    """What each rule can decide in its time: the harm it finds with 90 %, how soon, and what would help.

    Imagined phases are judged by the judge itself. Exit code 0 also when a rule cannot decide; 2 for bad facts.
    """
    from canary.cli.foreseeing import Given, as_data, facts_of, foresee

    loaded = load(file, as_json)
    given = Given(rps, error_rate, tuple(latency or ()), facts, hours, stable)
    found = [*foresee(loaded.plan, facts_of(given, loaded.plan), simulate=True)]
    if plot:
        from canary.cli.foreseen import plot as draw_plot

        draw_plot(found, plot)
    if as_json:
        told = {"plan": loaded.plan.name, "hash": loaded.hash, "phases": as_data(found)}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    from canary.cli.drawing import console_on_stdout
    from canary.cli.foreseen import draw

    console_on_stdout().print(draw(found))


@app.command()
def alerts(file: PlanFile, as_json: AsJson = False) -> None:
    """Print the plan's alerts as a Prometheus rule file (rule_files), to be checked with promtool."""
    from dataclasses import asdict

    from canary.boards.alerting import alert_rules, left_out, rule_file

    plan = load(file, as_json).plan
    if as_json:
        rules = [{**asdict(rule), "labels": dict(rule.labels)} for rule in alert_rules(plan)]
        typer.echo(json.dumps({"plan": plan.name, "rules": rules, "left_out": left_out(plan)}, ensure_ascii=False))
        return
    typer.echo(rule_file(plan), nl=False)


@app.command()
def dashboard(
    file: PlanFile,
    version: Annotated[str, typer.Option("--version", help="The candidate that it shows at first.")] = "",
    stable: Annotated[str, typer.Option("--stable", help="The stable version that it shows at first.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the plan's Grafana dashboard (JSON in either form), to be imported or provisioned."""
    from canary.boards.dashboard import dashboard as built

    document = built(load(file, as_json).plan, version, stable)
    typer.echo(json.dumps(document, indent=None if as_json else 2, ensure_ascii=False, sort_keys=True))


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
