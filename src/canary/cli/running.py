"""`canary deploy`, `start`, `rollback`, `resume` and `guard`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canary.cli.decisions import AsJson, By, Reason, Rollout, journaled, who

if TYPE_CHECKING:
    from canary.guard import Guard
    from canary.rollout.conducting import Stores
    from canary.tasks.missing import LostRuns

TEND_EVERY = 60.0
"""Seconds between two looks for lost reviews and looks of the watch."""

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan's YAML file, or an overlay of one.")]
Version = Annotated[str, typer.Option("--version", help="The version to roll out.", show_default=False)]


def deploy(file: PlanFile, as_json: AsJson = False) -> None:
    """Store the plan and make its Prefect deployment, with the shared ones (review, approve, abort, roll-back)."""
    from canary.cli.progress import busy
    from canary.plan.load import load_plan

    loaded = load_plan(file)
    with busy(f"deploying {loaded.plan.name}"):
        names = asyncio.run(_deploy(loaded))
    if as_json:
        typer.echo(json.dumps({"plan": loaded.plan.name, "hash": loaded.hash, "deployments": names}))
        return
    for name in names:
        typer.echo(f"deployed {name}")


async def _deploy(loaded: Any) -> list[str]:
    from canary.cli.deploying import deploy
    from canary.cli.store import journal

    async with journal() as opened:
        return await deploy(opened, loaded)


def start(
    file: PlanFile,
    version: Version,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end; Ctrl-C only detaches.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Start a rollout as a Prefect run. Deploys the plan first when it has changed."""
    from canary.cli.progress import busy
    from canary.plan.load import load_plan

    loaded = load_plan(file)
    with busy(f"starting {loaded.plan.name} {version}"):
        rollout = asyncio.run(_start(loaded, version, by))
    if not wait:
        typer.echo(
            json.dumps({"rollout": rollout}) if as_json else f"started {rollout}: canary status {rollout} --watch"
        )
        return
    try:
        with busy(f"following {rollout}; Ctrl-C only detaches"):
            state = asyncio.run(_follow(rollout))
    except KeyboardInterrupt:
        typer.echo(f"\ndetached; {rollout} goes on: canary status {rollout} --watch", err=True)
        raise typer.Exit(130) from None
    from canary.cli.following import end

    raise typer.Exit(end(state, as_json))


async def _start(loaded: Any, version: str, by: str | None) -> str:
    from uuid import uuid4

    from canary.cli.deploying import start_run
    from canary.cli.store import journal
    from canary.errors import ServiceBusy

    rollout = f"{loaded.plan.name}-{uuid4().hex[:8]}"
    async with journal() as opened:
        for lock in await opened.locks():
            if lock.service == loaded.plan.service:
                raise ServiceBusy(lock.service, lock.rollout)
        await start_run(loaded, opened, version, who(by, "")["by"], rollout)
    return rollout


async def _follow(rollout: str) -> Any:
    """The state when the rollout has ended, could not be verified, or waits for a person."""
    from canary.cli.following import follow, tell
    from canary.cli.store import journal

    async with journal() as opened:
        async for state, event in follow(opened, rollout):
            tell(state, event)
            unverified = state.rollback and state.rollback.unverified_at
            if event is None and (state.ended or unverified or (state.hold and not state.rollback)):
                return state
    return None


def rollback(
    rollout: Rollout,
    reason: Reason,
    feature: Annotated[
        str | None, typer.Option("--feature", help="Switch this feature alone off; the rollout then waits for you.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the stable release now, from this process. Needs journal and vault; neither Prefect nor a worker."""
    from canary.cli.following import end
    from canary.cli.progress import busy

    if feature is not None:
        return journaled(asyncio.run(_switch_off(rollout, feature, who(by, reason))), rollout, as_json)
    with busy(f"rolling {rollout} back"):
        state = asyncio.run(_roll_back(rollout, who(by, reason)))
    raise typer.Exit(end(state, as_json))


async def _switch_off(rollout: str, feature: str, asked: dict[str, str]) -> Any:
    from canary.rollout.by_hand import switch_off
    from canary.rollout.events import FeatureOffAsked
    from canary.tasks.stores import opened

    async with opened() as stores:
        return await switch_off(stores, rollout, FeatureOffAsked(feature=feature, **asked))


async def _roll_back(rollout: str, asked: dict[str, str]) -> Any:
    from canary.blocks.opener import OPENER
    from canary.rollout.by_hand import bring_back
    from canary.rollout.events import RollbackAsked
    from canary.tasks.stores import opened

    async with opened() as stores:
        return await bring_back(stores, rollout, RollbackAsked(**asked), OPENER)


def resume(rollout: Rollout, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """End a hold with fresh evidence; without a living conductor, conduct from this process, without Prefect."""
    from canary.cli.following import end
    from canary.cli.progress import busy

    with busy(f"resuming {rollout}"):
        state = asyncio.run(_resume(rollout, who(by, reason)))
    raise typer.Exit(end(state, as_json))


async def _resume(rollout: str, asked: dict[str, str]) -> Any:
    from canary.blocks.opener import OPENER
    from canary.cli.following import follow_to_the_end
    from canary.cli.resuming import conduct_here
    from canary.errors import LeaseLost
    from canary.rollout.events import ResumeAsked
    from canary.rollout.people import enter, read_state
    from canary.tasks.stores import opened

    async with opened() as stores:
        state = await read_state(stores.journal, rollout)
        if state.hold is not None:
            await enter(stores.journal, stores.clock, rollout, ResumeAsked(**asked))
        try:
            return await conduct_here(stores, rollout, OPENER)
        except LeaseLost:
            return await follow_to_the_end(rollout)


def guard(
    once: Annotated[bool, typer.Option("--once", help="Look once instead of for ever.")] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Serve /metrics there, for Prometheus; 0 takes a free port. Off by default."
        ),
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="The address that serves /metrics.")] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Watch every rollout; bring back what has no living conductor. Needs journal and vault, not Prefect."""
    from canary.errors import BadUsage

    if once and metrics_port is not None:
        raise BadUsage("--once ends at once: nobody could read its metrics", "leave --once or --metrics-port out")
    recovered = asyncio.run(_guard_once() if once else _guard(metrics_host, metrics_port))
    if as_json:
        typer.echo(json.dumps({"recovered": list(recovered)}))


async def _guard_once() -> Sequence[str]:
    async with _opened_guard() as watching:
        from canary.tasks.missing import LostRuns

        recovered = await watching.look()
        await _tend(LostRuns(watching.stores), "")
        return recovered


async def _tending(stores: Stores) -> None:
    from canary.tasks.missing import LostRuns

    lost, trouble = LostRuns(stores), ""
    while True:
        trouble = await _tend(lost, trouble)
        await stores.clock.sleep(TEND_EVERY)


async def _tend(lost: LostRuns, before: str) -> str:
    """Make lost reviews and looks again. What stands in the way is said when it is new, and ends no guard."""
    try:
        async with asyncio.timeout(TEND_EVERY):
            for name in await lost.make_again():
                sys.stderr.write(f"was missing, and is made again: {name}\n")
    except Exception as error:
        trouble = type(error).__name__
        if trouble != before:
            sys.stderr.write(f"lost reviews cannot be looked for ({trouble}); tried again every {TEND_EVERY:.0f} s\n")
        return trouble
    return ""


async def _guard(host: str, port: int | None) -> Sequence[str]:
    async with _opened_guard() as watching, AsyncExitStack() as stack:
        if port is not None:
            from canary.cli.metrics import serving

            served = await stack.enter_async_context(serving(watching, host, port))
            sys.stderr.write(f"metrics: http://{host}:{served}/metrics\n")
        sys.stderr.write("the guard watches; it ends with Ctrl-C\n")
        tending = asyncio.create_task(_tending(watching.stores))
        stack.callback(tending.cancel)
        await watching.watch()
    return ()


@asynccontextmanager
async def _opened_guard() -> AsyncIterator[Guard]:
    from canary.blocks.opener import OPENER
    from canary.cli.following import tell
    from canary.guard import Guard
    from canary.journal.routes import open_routes
    from canary.tasks.runs import prefect_runs
    from canary.tasks.stores import opened

    async with opened() as stores:
        yield Guard(stores, OPENER, (tell,), prefect_runs(stores.journal), open_routes())


COMMANDS: dict[str, Callable[..., None]] = {
    "deploy": deploy,
    "start": start,
    "rollback": rollback,
    "resume": resume,
    "guard": guard,
}
