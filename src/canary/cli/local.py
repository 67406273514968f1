"""`canary demo` and `canary up`: everything on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

FAULTS = "none, errors, feature, latency, ui, starve or telemetry"
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON line on standard output.")]


def demo(
    fault: Annotated[str, typer.Option("--fault", help=f"What goes wrong in the canary: {FAULTS}.")] = "none",
    providers: Annotated[
        bool,
        typer.Option("--providers", help="On local servers of Fly, Vercel, Global Config, Grafana and Slack."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The whole job on this machine: sandbox, Prefect server, one rollout, live view.

    Exit codes: 0 promoted, 2 refused, 3 rolled back, 4 held, 5 rollback not verified.
    """
    from canary.cli.following import end
    from canary.cli.rehearsal import rehearse

    state = asyncio.run(rehearse(fault, providers))
    raise typer.Exit(end(state, as_json) if state else 1)


def up(as_json: AsJson = False) -> None:
    """Sandbox, Prefect server, worker and guard, to play with from the Prefect UI. Ends with Ctrl-C."""
    from canary.cli.rehearsal import stay_up

    asyncio.run(stay_up(as_json))


COMMANDS: dict[str, Callable[..., None]] = {"demo": demo, "up": up}
