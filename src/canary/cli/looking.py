"""`canary status`: what is going on. It does not need Prefect."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canary.rollout.state import State
    from canary.rollout.view import View

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(
    rollout: Annotated[str | None, typer.Argument(metavar="[ID]", help="One rollout; all of them by default.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Where a rollout stands, or the list of all."""
    if rollout is None and watch:
        from canary.errors import BadUsage

        raise BadUsage("--watch follows one rollout", "name it: canary status ID --watch (canary status lists them)")
    if rollout is None:
        asyncio.run(_list(as_json))
        return
    if watch:
        asyncio.run(_watch(rollout, as_json))
    if as_json or not watch:
        asyncio.run(_show(rollout, as_json))


COMMANDS: dict[str, Callable[..., None]] = {"status": status}


async def _watch(rollout: str, as_json: bool) -> None:
    """Live on a terminal; a line of text for each of the journal's where there is none, or a dumb one."""
    from canary.cli.drawing import console_on_stdout

    screen = console_on_stdout()
    if as_json or not sys.stdout.isatty() or screen.is_dumb_terminal:
        from canary.cli.following import follow_to_the_end

        await follow_to_the_end(rollout)
        return
    from canary.cli.store import WallClock, journal
    from canary.cli.watching import watch

    async with journal() as opened:
        await watch(opened, WallClock(), rollout, screen)


async def _show(rollout: str, as_json: bool) -> None:
    from canary.cli.store import WallClock, journal
    from canary.rollout.history import begin_story, plan_of
    from canary.rollout.view import view

    async with journal() as opened:
        story = await begin_story(opened, rollout)
        seen = view(story, await plan_of(opened, story.state), WallClock().now())
    if as_json:
        typer.echo(json.dumps({**summary(story.state), **details(seen)}, ensure_ascii=False))
        return
    from canary.cli.drawing import console_on_stdout, draw

    console_on_stdout().print(draw(seen))


async def _list(as_json: bool) -> None:
    from canary.cli.store import journal
    from canary.errors import JournalError
    from canary.rollout.people import read_state

    states, unreadable = [], 0
    async with journal() as opened:
        for rollout in await opened.rollouts():
            try:
                states.append(await read_state(opened, rollout))
            except JournalError as error:
                # One that another version wrote must not hide the others.
                unreadable += 1
                typer.echo(f"{rollout}  cannot be read: {error.what}", err=True)
    if as_json:
        typer.echo(json.dumps([summary(state) for state in states]))
    elif not states and not unreadable:
        typer.echo("no rollout in this journal yet; start one: canary start PLAN --version V, or canary demo")
    for state in states if not as_json else ():
        typer.echo(f"{state.rollout}  {state.service} {state.version}  {_standing(state)}")


def _standing(state: State) -> str:
    if state.ended:
        return f"{state.ended.outcome}: {state.ended.reason}"
    if state.rollback:
        return f"rolling back: {state.rollback.reason}"
    if state.hold:
        return f"held in {state.phase}: {state.hold.reason}"
    return f"in {state.phase or 'preflight'} at {state.asked:.0%}"


def summary(state: State) -> dict[str, object]:
    """The machine's view of where a rollout stands."""
    return {
        "rollout": state.rollout,
        "service": state.service,
        "version": state.version,
        "phase": state.phase,
        "standing": _standing(state),
        "asked_share": state.asked,
        "observed": {name: shown.observed for name, shown in state.targets.items()},
        "verdict": str(state.verdict.outcome) if state.verdict else None,
        "outcome": state.ended.outcome if state.ended else None,
    }


def details(seen: View) -> dict[str, object]:
    """What only the status of one rollout tells a machine, beside its summary. Seconds by the clock."""
    return {
        "time_left": {"of": seen.left.of, "seconds": seen.left.seconds} if seen.left else None,
        "approvals": [asdict(yes) for yes in seen.approvals],
        "waits_for": list(seen.waits_for),
        "judged": seen.judged,
        "rules": [asdict(row) for row in seen.rules],
        "hold": seen.hold,
        "features_off": list(seen.features_off),
        "alerts": [alert.model_dump(mode="json") for alert in seen.alerts],
    }
